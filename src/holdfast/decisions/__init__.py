"""What a customer is worth, which action pays, whom to contact within a budget, and whom to leave alone to learn."""
