// A platform's program that knows nothing of trackstore: it loads rows, counts a play in each, and saves them whole, for
// ROUNDS rounds and for as long as tracks lie in both places.
const { PrismaPg } = require("@prisma/adapter-pg");
const { PrismaClient } = require("./client");

async function main() {
  const db = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL }) });
  let rounds = 0;
  for (let moving = true; rounds < Number(process.env.ROUNDS) || moving; rounds++) {
    const tracks = await db.tracks.findMany();
    await new Promise((resolve) => setTimeout(resolve, 10)); // and meanwhile a flip
    for (const { id, ...track } of tracks) {
      await db.tracks.update({ where: { id }, data: { ...track, play_count: track.play_count + 1n } });
    }
    moving = (await db.tracks.groupBy({ by: "storage_backend" })).length > 1;
  }
  console.log(rounds);
  await db.$disconnect();
}

main().catch((err) => {
  console.error(err);
  process.exit(1);
});
