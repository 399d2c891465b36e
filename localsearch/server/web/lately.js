// Answers of the last seconds, so that a letter taken back shows at once what stood there before it.

const [MOST, KEPT_MS] = [30, 10_000];
const answers = new Map();

export function lately(asked) {
  const known = answers.get(JSON.stringify(asked));
  return known && performance.now() - known.at < KEPT_MS ? known.answer : null;
}

export function keepLately(asked, answer) {
  answers.set(JSON.stringify(asked), { answer, at: performance.now() });
  if (answers.size > MOST) answers.delete(answers.keys().next().value);
}

export function forgetLately() { answers.clear(); }
