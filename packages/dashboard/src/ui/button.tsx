import type { ComponentProps } from 'react'
import styles from './button.module.css'

/** A button, or with `href` the look of one on a link. */
export function Button({
  look = 'plain',
  size = 'm',
  className = '',
  ...rest
}: ComponentProps<'button'> & { readonly look?: ButtonLook; readonly size?: 's' | 'm' }) {
  return <button type="button" {...rest} className={`${buttonClass(look, size)} ${className}`} />
}

export type ButtonLook = 'primary' | 'plain' | 'quiet'

/** Class of things that look like a button. */
export const buttonClass = (look: ButtonLook = 'plain', size: 's' | 'm' = 'm'): string =>
  `${styles.button} ${styles[look]} ${styles[size]}`
