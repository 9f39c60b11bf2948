"""How the page looks: A4 in portrait, a sheet on the screen and the same sheet on paper."""

#: Margins and what they leave of an A4 sheet, mm.
MARGIN_MM = 12.0
WIDTH_MM, HEIGHT_MM = 210.0 - 2 * MARGIN_MM, 296.0 - 2 * MARGIN_MM

#: Between header, facts, pictures, tables and footer, mm.
PART_GAP_MM = 4.0

CSS = """
@page { size: A4 portrait; margin: 0 }
* { box-sizing: border-box; margin: 0; padding: 0 }
html { font: 8.5pt/1.32 "Helvetica Neue", Helvetica, Arial, "Liberation Sans", "DejaVu Sans", sans-serif;
  color: #17212b; background: #dfe4e9; -webkit-print-color-adjust: exact; print-color-adjust: exact }
body { overflow-wrap: anywhere; font-variant-numeric: tabular-nums lining-nums }
.page { display: flex; flex-direction: column; gap: 4mm; width: 210mm; min-height: 296mm; margin: 6mm auto;
  padding: 12mm; background: #fff; box-shadow: 0 1mm 6mm #0003 }
@media print { html { background: #fff } .page { margin: 0; box-shadow: none } }
svg { display: block; overflow: hidden }
.when, .words, h2 span, figcaption, dt, thead th, .tick, footer { color: #556270; fill: #556270 }

header { display: grid; grid-template-columns: 1fr auto; column-gap: 8mm; align-items: end }
header p { font-size: 7.5pt }
.what { letter-spacing: .06em; text-transform: uppercase; color: #0b5677; font-weight: 600 }
h1 { font-size: 18pt; line-height: 1.15; font-weight: 700; letter-spacing: -.01em }
h1.small { font-size: 11pt; line-height: 1.1; letter-spacing: 0 }
.when { text-align: right }
.notice { grid-column: 1 / -1; margin-top: 2mm; padding: 1.2mm 2.5mm; border-left: 1mm solid #c77700;
  background: #fff4e0; color: #17212b; font-size: 8.5pt }

.facts { display: grid; grid-template-columns: 1fr 76mm 1fr; gap: 6mm; padding-bottom: 3mm;
  border-bottom: .25mm solid #ccd3da }
h2 { font-size: 10.5pt; line-height: 1.2; font-weight: 700; margin-bottom: 1.6mm }
h2 span { font-weight: 400; font-size: 8pt; margin-left: 2mm }
h3 { font-size: 7.5pt; line-height: 1.2; font-weight: 600; color: #0b5677; margin-bottom: .8mm;
  letter-spacing: .04em; text-transform: uppercase }
.facts p { font-size: 8pt; line-height: 1.3 }

.columns { display: flex; justify-content: space-between; align-items: flex-start }
figure { width: min-content } .columns.loose { justify-content: space-evenly }
figure + figure { margin-top: 3mm } .measured figure + figure { margin-top: 0 }
figcaption { width: 0; min-width: 100%; font-size: 8pt; line-height: 1.2; height: 4.2mm;
  overflow: hidden; white-space: nowrap }
.radiograph { background: #000; border-radius: .6mm }
.radiograph .side { fill: #fff; font-weight: 700; paint-order: stroke; stroke: #000; stroke-width: .12em }
.radiograph .level { font-weight: 700; paint-order: stroke; stroke: #000; stroke-width: .16em; stroke-linejoin: round }
.surface { border-radius: .6mm; outline: .2mm solid #e3e8ec; outline-offset: -.2mm }
.surface .side { fill: #17212b; font-weight: 700 }
.surface .level { fill: #455362; paint-order: stroke; stroke: #fff; stroke-width: .16em }
path.scale, path.axis { fill: none; stroke: #17212b; stroke-width: .25 }
text.scale { fill: #17212b; paint-order: stroke; stroke: #fff; stroke-width: .16em }
.inside { fill: #99051f } .outside { fill: #1a3399 }

.measured { display: flex; gap: 7mm; align-items: flex-start }
.measured > :last-child { flex: 1 }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); margin-bottom: 3mm }
.figures dd { font-size: 15pt; line-height: 1.1; font-weight: 700; letter-spacing: -.01em }
.figures dt { font-size: 7.5pt }
table { border-collapse: collapse; width: 100%; font-size: 8.5pt; line-height: 1.15 }
th, td { text-align: right; font-weight: 400; padding: 0 0 0 2mm; white-space: nowrap;
  border-bottom: .15mm solid #e3e8ec; height: var(--row) }
tbody th { font-weight: 600 }
th:first-child { text-align: left; padding-left: 0 }
thead th { font-size: 7.5pt; border-bottom: .25mm solid #8794a1; height: 5mm }
th i { display: inline-block; width: 2mm; height: 2mm; border-radius: 50%; margin-right: 1.4mm }
.worst { font-weight: 700 }
.mean td, .mean th { border-top: .25mm solid #8794a1; border-bottom: 0; font-weight: 700 }
.words { font-size: 7.5pt; margin-top: 1mm; line-height: 1.2 }
.notes { margin-top: 3mm }
.notes ul { list-style: none }
.notes li { font-size: 7.5pt; line-height: 1.3; padding-left: 2.4mm; text-indent: -2.4mm }
.notes li::before { content: "\\2022"; display: inline-block; width: 2.4mm; text-indent: 0 }

footer { margin-top: auto; padding-top: 1.6mm; border-top: .25mm solid #ccd3da; font-size: 6.5pt;
  display: flex; justify-content: space-between; gap: 6mm }
.facts table { font-size: 8pt } .facts table td, .facts table th { border: 0; height: 3.7mm }
.facts thead th { height: 3.2mm }
"""
