// Reads {"queries": [text], "cards": [object]} and answers {"queries": [message or null], "cards": [[message]]}: what is
// wrong with each query of Power Query, and with each adaptive card.
"use strict";

const fs = require("node:fs");

const [packageFolder] = process.argv.slice(2);
const PowerQuery = require(`${packageFolder}/@microsoft/powerquery-parser`);
const AdaptiveCards = require(`${packageFolder}/adaptivecards/dist/adaptivecards.js`);

async function wrongWithQuery(text) {
  const read = await PowerQuery.TaskUtils.tryLexParse(PowerQuery.DefaultSettings, text);
  return PowerQuery.TaskUtils.isError(read) ? read.error.message : null;
}

function wrongWithCard(content) {
  const context = new AdaptiveCards.SerializationContext();
  const card = new AdaptiveCards.AdaptiveCard();
  card.parse(content, context);
  const parsing = Array.from({ length: context.eventCount }, (_, index) => context.getEventAt(index).message);
  return [...parsing, ...card.validateProperties().validationEvents.map((each) => each.message)];
}

async function main() {
  const { queries, cards } = JSON.parse(fs.readFileSync(0, "utf8"));
  const answer = { queries: await Promise.all(queries.map(wrongWithQuery)), cards: cards.map(wrongWithCard) };
  process.stdout.write(JSON.stringify(answer));
}

main();
