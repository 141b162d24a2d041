import Markdown from 'react-markdown'
import styles from './reply-text.module.css'

/** Text of a model as Markdown. HTML in it stays text, pictures are left out, and links go nowhere by themselves. */
export function ReplyText({ text }: { readonly text: string }) {
  return (
    <div className={styles.markdown}>
      <Markdown
        disallowedElements={['img']}
        components={{
          a: ({ href, children }) => (
            <a href={href} target="_blank" rel="noreferrer nofollow ugc" title={href}>
              {children}
            </a>
          ),
        }}
      >
        {text}
      </Markdown>
    </div>
  )
}
