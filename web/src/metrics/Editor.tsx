/** A field for PromQL: coloured, checked while one types, completed with the functions of the language and the metrics, labels and values that the server has. */
import { autocompletion, closeBrackets, closeBracketsKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, insertNewlineAndIndent } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { lintKeymap } from '@codemirror/lint';
import { EditorState, Prec } from '@codemirror/state';
import { EditorView, keymap, placeholder, tooltips } from '@codemirror/view';
import { tags } from '@lezer/highlight';
import { PromQLExtension } from '@prometheus-io/codemirror-promql';
import { useEffect, useRef } from 'react';
import { address } from '../api/client';

interface Props {
  label: string;
  value: string;
  /** Hears every change. */
  onChange: (v: string) => void;
  /** Hears Enter; Shift with Enter is a new line. */
  onRun: () => void;
  autoFocus?: boolean;
  /** The field that "/" goes to. */
  search?: boolean;
}

const colors = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: 'var(--g-waiting)' },
  { tag: [tags.function(tags.variableName), tags.standard(tags.variableName)], color: 'var(--g-link)' },
  { tag: [tags.string], color: 'var(--g-success)' },
  { tag: [tags.number], color: 'var(--g-running)' },
  { tag: [tags.labelName], color: 'var(--g-new)' },
  { tag: [tags.comment], color: 'var(--g-dim)', fontStyle: 'italic' },
  { tag: [tags.operator, tags.bracket], color: 'var(--g-text)' },
]);

const look = EditorView.theme({
  '&': { fontSize: '13.5px', backgroundColor: 'var(--g-card)', color: 'var(--g-text)', border: '1px solid var(--g-line-strong)', borderRadius: '6px' },
  '&.cm-focused': { outline: '2px solid var(--g-brand)', outlineOffset: '1px' },
  '.cm-content': { fontFamily: 'var(--mantine-font-family-monospace)', padding: '7px 0', caretColor: 'var(--g-text)' },
  '.cm-line': { padding: '0 10px' },
  '.cm-cursor': { borderLeftColor: 'var(--g-text)' },
  '.cm-placeholder': { color: 'var(--g-dim)', fontFamily: 'var(--mantine-font-family)' },
  '&.cm-focused .cm-selectionBackground, .cm-selectionBackground': { background: 'var(--g-selected) !important' },
  '&.cm-focused .cm-matchingBracket': { background: 'var(--g-selected)' },
  '.cm-scroller': { maxHeight: '180px', overflow: 'auto' },
  '.cm-tooltip': { background: 'var(--g-card)', color: 'var(--g-text)', border: '1px solid var(--g-line-strong)', borderRadius: '6px', boxShadow: '0 6px 20px rgb(0 0 0 / 18%)', overflow: 'hidden', zIndex: '50' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mantine-font-family-monospace)', fontSize: '12.5px', maxHeight: '16em', maxWidth: 'min(640px, 88vw)' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 10px' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]': { background: 'var(--g-selected)', color: 'var(--g-text)' },
  '.cm-completionMatchedText': { textDecoration: 'none', fontWeight: '700' },
  '.cm-completionDetail': { color: 'var(--g-dim)', fontStyle: 'normal', marginLeft: '1em' },
  '.cm-completionIcon': { display: 'none' },
  '.cm-tooltip.cm-completionInfo': { padding: '6px 10px', fontSize: '12.5px', maxWidth: '320px' },
  '.cm-diagnostic': { padding: '5px 10px', fontSize: '12.5px' },
  '.cm-diagnostic-error': { borderLeft: '4px solid var(--g-failure)' },
  '.cm-lintRange-error': { backgroundImage: 'none', textDecoration: 'underline wavy var(--g-failure)', textDecorationSkipInk: 'none' },
});

export default function Editor({ label, value, onChange, onRun, autoFocus, search }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef({ value, onChange, onRun });
  latest.current = { value, onChange, onRun };

  useEffect(() => {
    const nonce = document.querySelector<HTMLMetaElement>('meta[name="csp-nonce"]')?.content ?? '';
    // A minute is how long a metric that has just begun may be missing among the words.
    const promql = new PromQLExtension().setComplete({ remote: { apiPrefix: address('/metrics'), httpMethod: 'GET', cache: { maxAge: 60_000 }, httpErrorHandler: () => undefined } });
    const v = new EditorView({
      parent: box.current!,
      state: EditorState.create({
        doc: latest.current.value,
        extensions: [
          nonce ? EditorView.cspNonce.of(nonce) : [],
          history(), indentOnInput(), bracketMatching(), closeBrackets(),
          autocompletion({ icons: false }),
          promql.asExtension(),
          syntaxHighlighting(colors), look,
          EditorView.lineWrapping,
          tooltips({ position: 'fixed' }),
          placeholder('An expression in PromQL, like rate(gantry_requests_total[1m])'),
          EditorView.contentAttributes.of({ 'aria-label': label, spellcheck: 'false', autocapitalize: 'off', ...(search ? { 'data-search': 'true' } : {}) }),
          Prec.high(keymap.of([
            { key: 'Shift-Enter', run: insertNewlineAndIndent },
            { key: 'Escape', run: (w) => { w.contentDOM.blur(); return true; } },
          ])),
          // The list of words comes before all of these: its Enter takes the chosen one.
          keymap.of([...closeBracketsKeymap, { key: 'Enter', run: () => { latest.current.onRun(); return true; } }]),
          keymap.of([...defaultKeymap, ...historyKeymap, ...lintKeymap]),
          EditorView.updateListener.of((u) => { if (u.docChanged) latest.current.onChange(u.state.doc.toString()); }),
        ],
      }),
    });
    view.current = v;
    if (autoFocus) v.focus();
    return () => {
      v.destroy();
      promql.destroy();
      view.current = null;
    };
  }, [label, search]);

  // What the address says, where it is not what was typed here.
  useEffect(() => {
    const v = view.current;
    if (v && v.state.doc.toString() !== value) v.dispatch({ changes: { from: 0, to: v.state.doc.length, insert: value } });
  }, [value]);

  return <div ref={box} />;
}
