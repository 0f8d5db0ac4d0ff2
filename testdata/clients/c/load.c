/* Writes and reads through hiredis until its time is up; any error ends it.
 * usage: load plain SECONDS PORT */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static redisContext *c;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

static void check(redisReply *r, int type, const char *want) {
  if (r == NULL || r->type != type || strcmp(r->str, want) != 0) {
    fprintf(stderr, "%s, want %s\n", r == NULL ? c->errstr : r->str, want);
    exit(1);
  }
  freeReplyObject(r);
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: load plain SECONDS PORT\n");
    return 2;
  }
  struct timeval patience = {2, 0};
  c = redisConnectWithTimeout("127.0.0.1", atoi(argv[3]), patience);
  if (c == NULL || c->err) {
    fprintf(stderr, "cannot connect\n");
    return 1;
  }
  double slowest = 0, until = now() + atof(argv[2]);
  int n = 0;
  for (; now() < until; n++) {
    double began = now();
    char want[32];
    snprintf(want, sizeof want, "%d", n);
    redisAppendCommand(c, "SET hiredis:%d %d", n % 500, n);
    redisAppendCommand(c, "GET hiredis:%d", n % 500);
    redisReply *r = NULL;
    redisGetReply(c, (void **)&r);
    check(r, REDIS_REPLY_STATUS, "OK");
    r = NULL;
    redisGetReply(c, (void **)&r);
    check(r, REDIS_REPLY_STRING, want);
    if (now() - began > slowest) slowest = now() - began;
  }
  printf("%d rounds, the slowest %.0f ms\n", n, slowest * 1000);
  redisFree(c);
  return 0;
}
