"""The look of the card, that of the audit's page; colours are variables, which the plots use too."""

STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --quiet: #5a5a5a; --grid: #dedede; --page: #fff; --soft: #f5f6f7;
  --unknown: #c4c8cc; --blue: #0072b2; --red: #d55e00; --good: #146c2e; --bad: #a3160b; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e6e6; --quiet: #a6a6a6; --grid: #3a3d41; --page: #16181b;
  --soft: #202327; --unknown: #5d636a; --blue: #56b4e9; --red: #f0894a; --good: #6fcf8b; --bad: #ff8a7d; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: var(--ink);
  background: var(--page); overflow-wrap: break-word; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; line-height: 1.25; }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .6rem; padding-top: .6rem; border-top: 1px solid var(--grid); }
h3 { font-size: .95rem; margin: 0 0 .3rem; font-weight: 600; }
p { margin: .4rem 0; max-width: 46rem; } ul { margin: .4rem 0; padding-left: 1.2rem; max-width: 46rem; }
.quiet, small, figcaption { color: var(--quiet); } .clean { color: var(--good); } .found { color: var(--bad); }
header strong { margin-left: .6rem; padding: .05rem .55rem; border: 1px solid; border-radius: 1rem; font-weight: 600;
  font-size: .85rem; white-space: nowrap; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem; margin: 1.2rem 0; }
.tiles div { background: var(--soft); border-radius: 8px; padding: .7rem .9rem; }
.tiles span { display: block; color: var(--quiet); font-size: .8rem; } .tiles b { font-size: 1.5rem; }
dl { display: grid; grid-template-columns: 11rem minmax(0, 1fr); gap: .3rem 1rem; margin: .6rem 0; max-width: 56rem; }
dt { color: var(--quiet); } dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: .8rem 0; padding-right: 1.5rem;
  display: inline-block; vertical-align: top; max-width: 100%; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid var(--grid); vertical-align: top; }
th { color: var(--quiet); font-weight: 600; vertical-align: bottom; } td:first-child { min-width: 6.5rem; }
.n { text-align: right; padding: .25rem 0 .25rem .9rem; white-space: nowrap; }
th.n { white-space: normal; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(19rem, 100%), 1fr)); gap: 0 1.8rem;
  margin: 1.2rem 0; }
figure { margin: 0; break-inside: avoid; display: grid; grid-row: span 3;
  grid-template-rows: subgrid; row-gap: 0; }
figcaption { font-size: 13px; line-height: 1.4; margin: .2rem 0 1.6rem; }
svg { display: block; width: 100%; height: auto; align-self: end; overflow: visible; stroke-linejoin: round; }
.shares { display: grid; grid-template-columns: minmax(8rem, 15rem) 1fr auto; gap: .25rem .9rem; align-items: center;
  font-size: 13px; max-width: 56rem; margin: .8rem 0; font-variant-numeric: tabular-nums; }
.shares div { position: relative; height: .85rem; } .shares s, .shares i { position: absolute; display: block; }
.shares s { height: 100%; background: var(--blue); border-radius: 2px; }
.shares i { top: 50%; height: 0; border-top: 2px solid var(--ink); }
.strips { display: grid; grid-template-columns: minmax(7rem, 13rem) 1fr; gap: 0 .9rem; align-items: center;
  font-size: 13px; max-width: 56rem; margin: .8rem 0; line-height: 1.25; }
.strips svg:last-child { align-self: start; }
@media (max-width: 36rem) { dl { grid-template-columns: minmax(0, 1fr); gap: 0; } dd { margin-bottom: .5rem; }
  .wide { padding-right: 0; }
  .shares { grid-template-columns: 1fr auto; }
  .shares span:nth-child(3n + 1) { grid-column: 1 / -1; margin-top: .3rem; }
  .strips { grid-template-columns: minmax(0, 1fr); } .tiles b { font-size: 1.25rem; }
  .tiles { grid-template-columns: 1fr 1fr; } }
@media print { body { max-width: none; margin: 0; font-size: 11px; } .plots { grid-template-columns: 1fr 1fr 1fr; }
  h2 { break-after: avoid; } * { print-color-adjust: exact; } }
"""
