// It travels with every result, so it is drawn with few strokes.
const svg = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'><path d='M4 5 7 1A4.5 4.5 0 1 0 9 4z' fill='#295'/></svg>`

/** A lily pad, for clients that show icons. */
export const icon = {
  src: `data:image/svg+xml;base64,${Buffer.from(svg).toString('base64')}`,
  mimeType: 'image/svg+xml',
  sizes: ['any'],
}
