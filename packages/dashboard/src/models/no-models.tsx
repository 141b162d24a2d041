import { Sprout } from 'lucide-react'
import { CodeBlock } from '../ui/code-block.tsx'
import { EmptyState } from '../ui/notice.tsx'

/** Nobody offers a model: how to offer one. */
export function NoModels() {
  return (
    <EmptyState icon={<Sprout size={22} />} title="No provider offers a model now">
      <p>On a local network, publish one and let your provider serve it. This page finds it by itself.</p>
      <CodeBlock label="Shell" code="npm start -- --module chat" />
    </EmptyState>
  )
}
