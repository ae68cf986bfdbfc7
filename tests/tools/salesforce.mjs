// Does with jsforce what the connector does, against the organization of argv[2]; prints what came of it as JSON.
import { createRequire } from "node:module";

const [, , tools, loginUrl, clientId, clientSecret, key, other] = process.argv;
const jsforce = createRequire(`${tools}/`)("jsforce");

const connection = new jsforce.Connection({ version: "60.0", oauth2: { loginUrl, clientId, clientSecret } });
const caught = (promise) => promise.then(() => "", (error) => error.errorCode);

const user = await connection.authorize({ grant_type: "client_credentials" });
const described = await connection.sobject("Lead").describe();
const lead = { LastName: "Nagy", Company: "Fabrikam", Leadsite_Id__c: key };
const first = await connection.sobject("Lead").upsert(lead, "Leadsite_Id__c");
const second = await connection.sobject("Lead").upsert({ ...lead, LastName: "Kiss" }, "Leadsite_Id__c");
const collection = await connection.requestPatch("/services/data/v60.0/composite/sobjects/Lead/Leadsite_Id__c", {
  allOrNone: false,
  records: [
    { attributes: { type: "Lead" }, ...lead, Leadsite_Id__c: other },
    { attributes: { type: "Lead" }, LastName: "Nobody", Leadsite_Id__c: "x" },
  ],
});
const created = await connection.sobject("Lead").create([{ LastName: "One", Company: "C" }, { LastName: "Two" }]);
const query = await connection.query(`SELECT Id, LastName FROM Lead WHERE Leadsite_Id__c IN ('${key}', '${other}')`);
const retrieved = await connection.sobject("Lead").retrieve(first.id);
const limits = await connection.limits();

console.log(
  JSON.stringify({
    organization: user.organizationId,
    required: described.fields.filter((f) => f.createable && !f.nillable && !f.defaultedOnCreate).map((f) => f.name),
    first,
    second,
    collection,
    created,
    query: query.records.map((record) => record.LastName),
    retrieved: retrieved.LastName,
    calls: limits.DailyApiRequests.Max,
    missing: await caught(connection.sobject("Lead").create({ LastName: "Three" })),
    taken: await caught(connection.sobject("Lead").create(lead)),
    unknown: await caught(connection.sobject("Lead").upsert({ ...lead, Colour__c: "blue" }, "Leadsite_Id__c")),
    refused: await new jsforce.Connection({ oauth2: { loginUrl, clientId, clientSecret: "wrong" } })
      .authorize({ grant_type: "client_credentials" })
      .then(() => "", (error) => error.name),
  }),
);
