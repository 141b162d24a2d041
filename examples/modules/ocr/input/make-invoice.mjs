// Draws invoice.png with the font DejaVu Sans (Debian: fonts-dejavu-core). The picture is committed: another font version moves pixels.
// usage: node make-invoice.mjs <folder of node_modules that has sharp>
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const [modules = 'node_modules'] = process.argv.slice(2)
const { default: sharp } = await import(pathToFileURL(resolve(modules, 'sharp/lib/index.js')).href)

const large = { size: 44, weight: 'bold' }
const plain = { size: 25, weight: 'normal' }
const columns = [60, 480, 800]
const rows = [
  { y: 90, ...large, cells: ['INVOICE 2026-0417'] },
  { y: 150, ...plain, cells: ['Pond Street Bakery, 12 Pond Street, Bristol'] },
  { y: 205, ...plain, cells: ['Bill to: Marsh Hotel Ltd'] },
  { y: 285, ...plain, cells: ['Sourdough loaf', '24 x 3.20', '76.80'] },
  { y: 335, ...plain, cells: ['Butter croissant', '60 x 1.45', '87.00'] },
  { y: 385, ...plain, cells: ['Delivery', '1 x 9.50', '9.50'] },
  { y: 460, ...plain, cells: ['Subtotal', '173.30'] },
  { y: 510, ...plain, cells: ['VAT 20 %', '34.66'] },
  { y: 580, ...large, cells: ['TOTAL DUE GBP', '207.96'] },
]
const texts = rows.flatMap(({ y, size, weight, cells }) =>
  cells.map((cell, index) => {
    const x = columns[cells.length === 2 && index === 1 ? 2 : index]
    const left = size === large.size && index === 1 ? x - 20 : x
    return `<text x="${left}" y="${y}" font-family="DejaVu Sans" font-size="${size}" font-weight="${weight}">${cell}</text>`
  }),
)
const rule = (y) => `<rect x="50" y="${y}" width="900" height="2" fill="#445"/>`
const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="640">
  <rect width="1000" height="640" fill="#fffdf6"/>${rule(240)}${rule(410)}${texts.join('')}
</svg>`
await sharp(Buffer.from(svg))
  .png({ compressionLevel: 9 })
  .toFile(fileURLToPath(new URL('invoice.png', import.meta.url)))
