import { type ElementType, nodeProto } from '../graph/onnx-messages.ts';
import { attributeOf, type GraphNode, type GraphView } from './graph-view.ts';
import { NodeList } from './node-list.ts';

/** Names a constant, made where there is none of that name. */
export type Constants = (
  name: string,
  type: ElementType,
  dims: readonly number[],
  values: NodeJS.TypedArray,
) => string;

/** What ONNX says where a LayerNormalization does not, and what ONNX Runtime says for the fused one. */
const DEFAULT_EPSILON = { LayerNormalization: 1e-5, SkipLayerNormalization: 1e-12 } as const;

/**
 * A LayerNormalization over the last axis in other nodes, which ONNX Runtime computes several at a time on the CPU, in a third of the
 * time: every token as an image of one channel to InstanceNormalization, whose scale and bias are then those of the channels.
 *
 *     x (+ bias) (+ skip) ─▶ [tokens, 1, H] ─▶ InstanceNormalization ─▶ like x ─▶ × γ ─▶ + β
 *
 * Undefined for any other node, and where γ or β is no constant.
 */
export function fasterNormalisation(
  view: GraphView,
  node: GraphNode,
  constants: Constants,
): Buffer[] | undefined {
  const { operator, inputs, outputs } = node;
  if (operator !== 'LayerNormalization' && operator !== 'SkipLayerNormalization') return undefined;
  const skips = operator === 'SkipLayerNormalization';
  const [gamma, beta, bias] = inputs.slice(skips ? 2 : 1);
  const size = view.constant(gamma)?.dims[0];
  // No node seen in practice gives out mean and deviation of each token; in pre-norm encoders they give out the sum.
  const [output, mean, deviation, sum] = outputs;
  const fits =
    size !== undefined && view.constant(beta)?.dims[0] === size && !mean && !deviation && isLastAxis(node);
  if (!fits) return undefined;

  const nodes = new NodeList(output!);
  let x = inputs[0]!;
  if (skips && bias) x = nodes.add('Add', [x, bias], 'biased');
  if (skips && sum) {
    nodes.messages.push(nodeProto('Add', [x, inputs[1]!], [sum]));
    x = sum;
  } else if (skips) x = nodes.add('Add', [x, inputs[1]!], 'sum');
  const shape = nodes.add('Shape', [x], 'shape');
  const tokens = constants(`tokens_of_${size}`, 'int64', [3], BigInt64Array.of(-1n, 1n, BigInt(size)));
  const ones = constants('one_channel_scale', 'float32', [1], Float32Array.of(1));
  const zeros = constants('one_channel_bias', 'float32', [1], Float32Array.of(0));
  const images = nodes.add('Reshape', [x, tokens], 'tokens');
  const epsilon = { float: attributeOf(node, 'epsilon') ?? DEFAULT_EPSILON[operator] };
  const normal = nodes.add('InstanceNormalization', [images, ones, zeros], 'normal', { epsilon });
  const like = nodes.add('Reshape', [normal, shape], 'like');
  nodes.add('Add', [nodes.add('Mul', [like, gamma!], 'scaled'), beta!]);
  return nodes.messages;
}

function isLastAxis(node: GraphNode): boolean {
  return (attributeOf(node, 'axis') ?? -1) === -1;
}
