// A webhook receiver as the documentation of npm's `standardwebhooks` shows it; otherwise the same as pypi.py.
const http = require("node:http");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

const webhook = new Webhook(process.env.RECEIVER_SECRET);
const received = [];

function verify(request, body) {
    const seen = received.some((known) => known.headers["webhook-id"] === request.headers["webhook-id"]);
    try {
        webhook.verify(body, request.headers);
        return [request.url === "/later" && !seen ? 503 : 204, ""];
    } catch (error) {
        if (!(error instanceof WebhookVerificationError)) throw error;
        return [401, error.message];
    }
}

http.createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
        if (request.method === "GET") {
            response.end(JSON.stringify(received));
            return;
        }
        const body = Buffer.concat(chunks).toString();
        const [status, reason] = verify(request, body);
        received.push({ headers: request.headers, body, verified: status !== 401, status });
        response.writeHead(status).end(reason);
    });
}).listen(Number(process.env.RECEIVER_PORT), "127.0.0.1");
