// What a test asks of the machine while it runs, a JSON line each on standard input; each is answered {"done": …}:
//   {"do": "remove", "signal": "tool"}   the vendor's node of that signal goes        {"do": "add", "signal": "tool"}
//   {"do": "mute"}      it publishes nothing any more, but answers reads
//   {"do": "forget"}    it ends the subscriptions without a word
//   {"do": "alert", "code": "1042", "text": "…", "severity": 800}    {"do": "calm", "code": "1042"}    {"do": "say", "text": "…"}
import readline from "node:readline";

const sessions = (server) => Object.values(server.engine._sessions);

const DEEDS = {
  remove: ({ machine }, { signal }) => machine.remove(signal),
  add: ({ machine }, { signal }) => machine.add(signal),
  alert: ({ machine }, { code, text, severity }) => machine.alert(code, text, severity),
  calm: ({ machine }, { code }) => machine.calm(code),
  say: ({ machine }, { text }) => machine.say(text),
  mute: ({ server }) => sessions(server).forEach((session) => (session.publishEngine._send_response_for_request = () => {})),
  forget: ({ server }) =>
    sessions(server).forEach((session) => {
      for (const subscription of session.publishEngine.subscriptions) {
        session.publishEngine.detach_subscription(subscription);
        subscription.terminate();
      }
    }),
};

export function obey(input, world) {
  readline.createInterface({ input }).on("line", (line) => {
    if (!line.trim()) return;
    const wish = JSON.parse(line);
    DEEDS[wish.do](world, wish);
    process.stdout.write(`${JSON.stringify({ done: wish.do })}\n`);
  });
}
