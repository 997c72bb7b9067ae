/**
 * Requests unlike exam questions, so that what is learnt from exams knows that there are others. Labelled by judgement, as nobody has
 * published outcomes of such: any model does the first, the second are worth a strong one.
 */
export const EASY = `
hi
Hello, how are you?
Good morning!
Thanks a lot!
ok, got it
What is your name?
Tell me a joke.
What can you do?
What time is it?
What is the capital of Japan?
How do you spell necessary?
Who painted the Mona Lisa?
When did the Second World War end?
What is the largest planet?
How many days does a leap year have?
What is 12 plus 30?
Translate "good evening" into Spanish.
How do I say thank you in Italian?
What does the word "brief" mean?
Give me a synonym for happy.
Correct the spelling: I recieved teh letter.
Make this sentence polite: Send me the file.
Summarise this text in one sentence.
Shorten this message.
Write a short birthday wish for a friend.
Write a thank-you note to my neighbour.
Write a limerick about a cat.
Suggest a name for my dog.
What should I cook with eggs and rice?
Give me three ideas for a weekend trip.
List five fruits.
Convert 10 kilometres to miles.
Is this review positive or negative: the food was great.
Extract the date from this sentence: we meet on 3 May.
Turn this list into a comma-separated line.
Write a tweet announcing our new opening hours.
What is the weather like in spring?
How do I boil an egg?
How do I restart my phone?
你好
谢谢你的帮助
你叫什么名字？
把这句话翻译成英文：早上好
推荐一本书
`;

export const HARD = `
Implement a lock-free hash map in Rust and argue why it is linearizable.
Find the race condition in this code and rewrite it without locks.
Design a database schema and an API for a multi-tenant billing system, and discuss the trade-offs.
Refactor this module into smaller parts, keep its behaviour and write tests for the edge cases.
Why does this query scan the whole table, and which index would help? Explain the plan.
Write a recursive descent parser for arithmetic expressions with error recovery.
Debug this stack trace: the process deadlocks under load once in a thousand runs.
Prove that there are infinitely many primes of the form 4k + 3.
Prove by induction that the sum of the first n cubes is the square of a triangular number, step by step.
Derive the gradient of the softmax cross-entropy loss and explain each step.
Solve the system of differential equations and discuss the stability of its equilibria.
Compare three consensus protocols under partial synchrony and recommend one for our case.
Analyse this contract clause by clause and name the risks for the buyer.
Plan the migration of a monolith to services over twelve months with milestones, risks and rollback.
Review this paper's methodology: is the causal claim justified, and what confounders remain?
Given these symptoms, lab values and history, work through the differential diagnosis.
Build a discounted cash flow model from these statements and explain every assumption.
Write a detailed research proposal with hypotheses, methods and a power analysis.
Devise an algorithm that finds the k shortest paths and analyse its complexity.
Explain why my Kubernetes pods are evicted and write the manifests that prevent it.
证明根号二是无理数，并逐步说明每一步的理由。
分析下面的代码为什么死锁，并给出改进方案和测试。
`;
