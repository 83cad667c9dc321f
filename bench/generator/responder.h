#ifndef BENCH_RESPONDER_H
#define BENCH_RESPONDER_H

/* Serves the listening socket until it is killed.  A get is answered with `data`. */
void respond(int listener, const char *data, int data_bytes);

#endif
