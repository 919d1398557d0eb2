// Follows a live stream with npm's `eventsource` until it stops by itself, and prints the received events as JSON: node follow.cjs URL
const { EventSource } = require("eventsource");

const TYPES = ["export.created", "export.started", "export.completed", "export.failed"];
const source = new EventSource(process.argv[2]);
const seen = { opens: 0, events: [] };
source.onopen = () => seen.opens++;
source.onerror = (error) => {
  if (source.readyState === EventSource.CLOSED) {
    console.log(JSON.stringify({ ...seen, code: error.code ?? null }));
  }
};
for (const type of TYPES) {
  source.addEventListener(type, (event) => {
    seen.events.push([event.lastEventId, event.type, JSON.parse(event.data).export_status]);
    process.stderr.write(`${type}\n`);
  });
}
