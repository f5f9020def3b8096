// The release command: runs in a container of the new image before that image gets any traffic.
import { migrate } from './store.mjs';

const { from, to } = await migrate();
console.log(from === to ? `volume is at schema ${to}` : `volume brought from schema ${from} to ${to}`);
