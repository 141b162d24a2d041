const plain = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,39}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,39}$/

/** A media type that another party named, if it has the form of one; any words would fit where it is declared. */
export const toMediaType = (named: string): string => (plain.test(named) ? named : 'application/octet-stream')
