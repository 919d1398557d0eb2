// Verifies `v1a` signatures with Node's own crypto. Reads {"public_key", "id", "timestamp", "body", "signatures"} from standard
// input and prints whether one of the signatures was made with the key.
const crypto = require("node:crypto");
const fs = require("node:fs");

const given = JSON.parse(fs.readFileSync(0, "utf8"));
const raw = Buffer.from(given.public_key.slice("whpk_".length), "base64");
const key = crypto.createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x: raw.toString("base64url") }, format: "jwk" });
const content = Buffer.from(`${given.id}.${given.timestamp}.${given.body}`);
const isOfKey = (one) => {
    const [version, encoded] = one.split(",");
    return version === "v1a" && crypto.verify(null, content, key, Buffer.from(encoded, "base64"));
};
console.log(given.signatures.split(" ").some(isOfKey));
