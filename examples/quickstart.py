"""The pipeline from Python, step by step. Run in the repository: python examples/quickstart.py"""

from __future__ import annotations

from holdfast import Project


def main() -> None:
    demo = Project("demo")

    company = demo.simulate()
    print(f"customers: {company.company['customers']:,}")

    dataset = demo.build()
    manifest = dataset.manifest
    print(f"snapshots: {manifest.snapshots:,}, features: {len(manifest.schema)}, churned: {manifest.positives:,}")

    trained = demo.train(dataset)
    auc = trained.metrics["test"]["metrics"]["roc_auc"]
    print(f"ROC-AUC on unseen months: {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f})")

    scores = demo.score().to_json()
    print(f"expected to leave: {scores['expected_churners']:.0f} of {scores['customers']:,}")

    decisions = demo.decide().to_json()
    print(f"to contact: {decisions['contacted']}, expected gain: {decisions['expected_value']:,.0f}")


if __name__ == "__main__":
    main()
