import type { GraphNode, GraphView } from './graph-view.ts';

export interface Gelu {
  /** The value that it is computed from. */
  readonly input: string;
  readonly output: string;
  /** The nodes that compute it, in order, where it is spelled out; empty where it is one operator. */
  readonly nodes: readonly GraphNode[];
}

/** All GELUs of a graph, by output: as one operator, or as x · ½(1 + erf(x / √2)), whose factors come in any order. */
export function findGelus(view: GraphView): Map<string, Gelu> {
  const found = new Map<string, Gelu>();
  for (const node of view.nodes) {
    const gelu =
      node.operator === 'Erf'
        ? spelledOut(view, node)
        : ['Gelu', 'BiasGelu', 'FastGelu'].includes(node.operator)
          ? { input: node.inputs[0]!, output: node.outputs[0]!, nodes: [] }
          : undefined;
    if (gelu !== undefined) found.set(gelu.output, gelu);
  }
  return found;
}

function spelledOut(view: GraphView, erf: GraphNode): Gelu | undefined {
  const scaled = view.producer(erf.inputs[0]);
  const plusOne = view.onlyConsumer(erf);
  const first = plusOne && view.onlyConsumer(plusOne);
  const second = first && view.onlyConsumer(first);
  if (scaled === undefined || plusOne === undefined || first === undefined || second === undefined)
    return undefined;
  const input = isBy(view, scaled, 'Div', Math.SQRT2) ?? isBy(view, scaled, 'Mul', Math.SQRT1_2);
  const factors = [...others(first, plusOne), ...others(second, first)];
  const isGelu =
    input !== undefined &&
    view.onlyConsumer(scaled) === erf &&
    isBy(view, plusOne, 'Add', 1) === erf.outputs[0] &&
    first.operator === 'Mul' &&
    second.operator === 'Mul' &&
    factors.length === 2 &&
    factors.includes(input) &&
    factors.some((factor) => isNear(view.scalar(factor), 0.5));
  return isGelu
    ? { input, output: second.outputs[0]!, nodes: [scaled, erf, plusOne, first, second] }
    : undefined;
}

/** The other operand, where the node is this operator with this constant. */
function isBy(view: GraphView, node: GraphNode, operator: string, constant: number): string | undefined {
  if (node.operator !== operator) return undefined;
  const [a, b] = node.inputs;
  if (isNear(view.scalar(b), constant)) return a;
  return operator !== 'Div' && isNear(view.scalar(a), constant) ? b : undefined;
}

/** A node's operands except one. */
function others(node: GraphNode, but: GraphNode): string[] {
  return node.inputs.filter((input) => input !== but.outputs[0]);
}

function isNear(value: number | undefined, wanted: number): boolean {
  return value !== undefined && Math.abs(value - wanted) < 1e-4;
}
