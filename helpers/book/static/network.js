// A network that a chapter has trained, computed from weights of 8 bits; helpers/book/widgets.py has packed it.
const STEPS = {
  dense: (take, inputs, outputs) => {
    const weights = take(Int8Array, inputs * outputs); // those of an output unit stand together
    const [scales, biases] = [take(Float32Array, outputs), take(Float32Array, outputs)];
    return (values) => {
      const sums = new Float32Array(outputs);
      for (let unit = 0, at = 0; unit < outputs; unit++) {
        let sum = 0;
        for (let input = 0; input < inputs; input++) sum += weights[at++] * values[input];
        sums[unit] = sum * scales[unit] + biases[unit];
      }
      return sums;
    };
  },
  relu: () => (values) => values.map((x) => Math.max(x, 0)),
  leaky_relu: (_, slope) => (values) => values.map((x) => (x < 0 ? slope * x : x)),
  silu: () => (values) => values.map((x) => x / (1 + Math.exp(-x))),
  tanh: () => (values) => values.map(Math.tanh),
  sigmoid: () => (values) => values.map((x) => 1 / (1 + Math.exp(-x))),
  enlarge: (_, height, width) => (values) => { // twofold, bilinear: a pixel lies a quarter from one, three from the next
    const at = (row, column) =>
      values[Math.min(Math.max(row, 0), height - 1) * width + Math.min(Math.max(column, 0), width - 1)];
    return Float32Array.from({ length: 4 * height * width }, (_, pixel) => {
      const [row, column] = [Math.floor(pixel / (2 * width)), pixel % (2 * width)];
      const [near, beside] = [[row >> 1, column >> 1], [(row >> 1) + (row % 2 ? 1 : -1), (column >> 1) + (column % 2 ? 1 : -1)]];
      const across = (line) => 0.75 * at(line, near[1]) + 0.25 * at(line, beside[1]);
      return 0.75 * across(near[0]) + 0.25 * across(beside[0]);
    });
  },
};

// Resolves to a function of an array of numbers, from the element that holds steps and weights.
const readNetwork = async (holder) => {
  const packed = Uint8Array.from(atob(holder.textContent.trim()), (letter) => letter.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(unpacked).arrayBuffer();
  let begin = 0;
  const take = (Kind, count) => {
    const end = begin + count * Kind.BYTES_PER_ELEMENT;
    const taken = new Kind(bytes.slice(begin, end));
    begin = end;
    return taken;
  };
  const steps = JSON.parse(holder.dataset.steps).map(([kind, ...sizes]) => STEPS[kind](take, ...sizes));
  return (input) => steps.reduce((values, step) => step(values), Float32Array.from(input));
};

// Draws numbers in [0, 1], white on black, on a canvas of as many pixels.
const paint = (canvas, values) => {
  const picture = new ImageData(canvas.width, canvas.height);
  values.forEach((value, pixel) => picture.data.set([...Array(3).fill(255 * value), 255], 4 * pixel));
  canvas.getContext("2d").putImageData(picture, 0, 0);
};
