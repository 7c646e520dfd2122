// Many WebSockets and one publisher, in one thread: what reads them must cost little where server and readers share two cores.
// Loopback, for measuring alone: it checks no more of a frame than it needs to count it.
//
//   load PORT SOCKETS TOPICS SILENT PATH SUBSCRIBE PUBLISHER_PATH PUBLISH_FILE HEADER
//
// Socket i belongs to topic i % TOPICS; `%t` in PATH and SUBSCRIBE stands for it. SUBSCRIBE is a text frame that each sends when
// it is open, and its first frame the answer to that ("-": none). SILENT of the sockets read nothing once they are open.
// PUBLISH_FILE holds the text frames that the publisher sends, in turn, one per line, for the topics 0, 1, … .
//
// Reads commands from standard input, a line each, and answers each by one line of JSON:
//   closed SECONDS WINDOW  publishes when fewer than WINDOW messages are on their way
//   paced SECONDS RATE     publishes RATE messages per second; times count from when each was due
//   quit
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum state { CONNECTING, HEAD, SUBSCRIBING, OPEN, CLOSED };
// More messages than any run publishes: when each was due, by topic and number.
#define MAX_MESSAGES (1 << 22)
#define OPENING_AT_ONCE 64
#define BUFFER (1 << 20)

struct connection {
  int fd, topic, silent;
  enum state state;
  uint64_t messages;
  unsigned char *rest;
  uint32_t length, capacity;
};

static int port, sockets, topics, silent;
static const char *path, *subscribe, *publisher_path, *header;
static struct connection *connections, publisher;
static int poller, opened, gone, started;
static char **publishes;
static double *due;
static uint64_t published, delivered, frames, bytes, gaps, expected;
static uint64_t histogram[100000]; // of 0.1 ms each
static unsigned char buffer[BUFFER * 2];

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e3 + time.tv_nsec / 1e6;
}

static void die(const char *what) {
  fprintf(stderr, "%s: %s\n", what, errno ? strerror(errno) : "");
  exit(1);
}

// Replaces %t by the topic's number.
static void expand(char *target, size_t room, const char *pattern, int topic) {
  const char *at = strstr(pattern, "%t");
  if (at == NULL) snprintf(target, room, "%s", pattern);
  else snprintf(target, room, "%.*s%d%s", (int)(at - pattern), pattern, topic, at + 2);
}

// Masks with zeros: masking is the client's cost, and it is not what is measured.
static void send_text(struct connection *c, const char *text) {
  size_t length = strlen(text), head = 2;
  unsigned char *frame = buffer + BUFFER;
  frame[0] = 0x81;
  if (length < 126) frame[1] = 0x80 | length;
  else if (length < 65536) frame[1] = 0x80 | 126, frame[2] = length >> 8, frame[3] = length, head = 4;
  else die("a frame is too long");
  memset(frame + head, 0, 4);
  memcpy(frame + head + 4, text, length);
  for (size_t sent = 0, all = head + 4 + length; sent < all;) {
    ssize_t count = send(c->fd, frame + sent, all - sent, MSG_NOSIGNAL);
    if (count > 0) sent += count;
    else if (errno != EAGAIN) die("send");
  }
}

static void watch(struct connection *c, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  epoll_ctl(poller, operation, c->fd, &event);
}

static void open_socket(struct connection *c) {
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (c->fd < 0) die("socket");
  int one = 1, small = 4096;
  if (c->silent) setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  if (connect(c->fd, (void *)&address, sizeof address) && errno != EINPROGRESS) die("connect");
  watch(c, EPOLL_CTL_ADD, EPOLLOUT);
}

static void close_socket(struct connection *c) {
  if (c == &publisher) die("the publisher's socket was closed");
  if (c->state == HEAD || c->state == CONNECTING) die("a socket did not open");
  c->state = CLOSED;
  gone++;
  close(c->fd);
}

static void request(struct connection *c) {
  char where[1024], text[2048];
  expand(where, sizeof where, c == &publisher ? publisher_path : path, c->topic);
  int length = snprintf(text, sizeof text,
    "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", where, port, header);
  if (send(c->fd, text, length, MSG_NOSIGNAL) != length) die("send");
  c->state = HEAD;
  watch(c, EPOLL_CTL_MOD, EPOLLIN);
}

static void opened_now(struct connection *c) {
  c->state = OPEN;
  if (c == &publisher) return;
  opened++;
  if (c->silent) watch(c, EPOLL_CTL_MOD, 0);
}

static void take(struct connection *c, unsigned char *text, uint64_t length) {
  if (c == &publisher) {
    if (memmem(text, length, "\"type\":\"error\"", 14)) fprintf(stderr, "%.*s\n", (int)length, text), exit(1);
    return;
  }
  if (c->state == SUBSCRIBING) {
    if (memmem(text, length, "\"ok\"", 4) == NULL) fprintf(stderr, "%.*s\n", (int)length, text), exit(1);
    return opened_now(c);
  }
  frames++;
  bytes += length;
  if (memmem(text, length, "\"gap\"", 5)) gaps++;
  double at = now();
  for (unsigned char *from = text, *end = text + length; from < end;) {
    unsigned char *line = memchr(from, '\n', end - from);
    from = line == NULL ? end : line + 1;
    // The messages of a topic are numbered 0, 1, …; the topics take turns.
    uint64_t number = c->messages++ * topics + c->topic;
    delivered++;
    double late = (at - due[number % MAX_MESSAGES]) * 10;
    histogram[late < 0 ? 0 : late > 99999 ? 99999 : (int)late]++;
  }
}

static uint32_t take_frames(struct connection *c, unsigned char *at, uint32_t length) {
  uint32_t done = 0;
  while (length - done >= 2) {
    unsigned char *frame = at + done;
    uint64_t payload = frame[1] & 127;
    uint32_t head = payload == 126 ? 4 : payload == 127 ? 10 : 2;
    if (length - done < head) break;
    if (head > 2) {
      payload = 0;
      for (uint32_t i = 2; i < head; i++) payload = payload << 8 | frame[i];
    }
    if (length - done < head + payload) break;
    int kind = frame[0] & 15;
    if (kind == 1) take(c, frame + head, payload);
    else if (kind == 9) {
      unsigned char pong[256] = {0x8a, 0x80 | payload};
      memcpy(pong + 6, frame + head, payload);
      if (send(c->fd, pong, 6 + payload, MSG_NOSIGNAL) < 0) die("pong");
    }
    done += head + payload;
  }
  return done;
}

static void receive(struct connection *c) {
  memcpy(buffer, c->rest, c->length);
  ssize_t count = recv(c->fd, buffer + c->length, BUFFER - c->length, 0);
  if (count <= 0) {
    if (count == 0 || (errno != EAGAIN && errno != EINTR)) close_socket(c);
    return;
  }
  unsigned char *at = buffer;
  uint32_t length = c->length + count;
  if (c->state == HEAD) {
    unsigned char *end = memmem(buffer, length, "\r\n\r\n", 4);
    if (end != NULL && memcmp(buffer, "HTTP/1.1 101", 12)) fprintf(stderr, "%.*s\n", (int)length, buffer), exit(1);
    if (end != NULL) {
      length -= end + 4 - buffer;
      at = end + 4;
      if (c == &publisher || !strcmp(subscribe, "-")) opened_now(c);
      else {
        char text[1024];
        expand(text, sizeof text, subscribe, c->topic);
        c->state = SUBSCRIBING;
        send_text(c, text);
      }
    }
  }
  uint32_t done = c->state == HEAD ? 0 : take_frames(c, at, length);
  c->length = length - done;
  if (c->length > c->capacity) c->rest = realloc(c->rest, c->capacity = c->length * 2);
  if (c->length > 0) memcpy(c->rest, at + done, c->length);
}

static void turn(int wait) {
  struct epoll_event events[512];
  int count = epoll_wait(poller, events, 512, wait);
  for (int i = 0; i < count; i++) {
    struct connection *c = events[i].data.ptr;
    if (c->state == CLOSED) continue;
    if (c->state == CONNECTING) request(c);
    else receive(c);
  }
}

static void publish(double when) {
  due[published % MAX_MESSAGES] = when;
  // Of a topic the silent ones get theirs as well, and are not waited for.
  int topic = published % topics;
  expected += sockets / topics - (topics == 1 ? silent : 0);
  published++;
  send_text(&publisher, publishes[topic]);
}

static double quantile(double part) {
  uint64_t all = 0, below = 0;
  for (int i = 0; i < 100000; i++) all += histogram[i];
  for (int i = 0; i < 100000; i++) if ((below += histogram[i]) > all * part) return i / 10.0;
  return 10000;
}

// How many messages are on their way to somebody who reads.
static double under_way(void) {
  return (double)(expected - delivered) * topics / (sockets - (topics == 1 ? silent : 0));
}

static void run(double seconds, double window, double rate) {
  memset(histogram, 0, sizeof histogram);
  struct rusage before, after;
  getrusage(RUSAGE_SELF, &before);
  uint64_t delivered_before = delivered, frames_before = frames, bytes_before = bytes, published_before = published;
  double begin = now(), end = begin + seconds * 1e3, next = begin;
  for (double at = begin; at < end; at = now()) {
    if (rate > 0) for (; next <= at; next += 1e3 / rate) publish(next);
    else while (under_way() < window) publish(now());
    turn(rate > 0 ? 1 : 10);
  }
  double took = (now() - begin) / 1e3;
  uint64_t count = delivered - delivered_before, sent = published - published_before;
  // What is still on its way belongs to no run.
  for (double patience = now() + 15e3; delivered < expected && now() < patience;) turn(10);
  getrusage(RUSAGE_SELF, &after);
  double cpu = (after.ru_utime.tv_sec - before.ru_utime.tv_sec + after.ru_stime.tv_sec - before.ru_stime.tv_sec) +
    (after.ru_utime.tv_usec - before.ru_utime.tv_usec + after.ru_stime.tv_usec - before.ru_stime.tv_usec) / 1e6;
  printf("{\"published\":%lu,\"seconds\":%.3f,\"per_second\":%.0f,\"frames_per_message\":%.3f,\"bytes_per_message\":%.1f,\"p50\":%.1f,\"p99\":%.1f,"
    "\"missing\":%ld,\"gaps\":%lu,\"closed\":%d,\"cpu\":%.2f}\n", sent, took, count / took,
    (double)(frames - frames_before) / (delivered - delivered_before), (double)(bytes - bytes_before) / (delivered - delivered_before),
    quantile(.5), quantile(.99), (long)(expected - delivered), gaps, gone, cpu);
  fflush(stdout);
}

int main(int count, char **given) {
  if (count != 10) die("load PORT SOCKETS TOPICS SILENT PATH SUBSCRIBE PUBLISHER_PATH PUBLISH_FILE HEADER");
  port = atoi(given[1]), sockets = atoi(given[2]), topics = atoi(given[3]), silent = atoi(given[4]);
  path = given[5], subscribe = given[6], publisher_path = given[7], header = given[9];
  struct rlimit limit;
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  signal(SIGPIPE, SIG_IGN);
  FILE *file = fopen(given[8], "r");
  if (file == NULL) die(given[8]);
  publishes = calloc(topics, sizeof *publishes);
  for (int i = 0; i < topics; i++) {
    size_t room = 0;
    ssize_t length = getline(&publishes[i], &room, file);
    if (length <= 0) die("PUBLISH_FILE has too few lines");
    publishes[i][length - 1] = 0;
  }
  due = calloc(MAX_MESSAGES, sizeof *due);
  connections = calloc(sockets, sizeof *connections);
  poller = epoll_create1(0);
  open_socket(&publisher);
  double begin = now();
  while (publisher.state != OPEN) turn(10);
  while (opened < sockets) {
    for (; started < sockets && started - opened < OPENING_AT_ONCE; started++) {
      struct connection *c = &connections[started];
      c->topic = started % topics;
      c->silent = silent > 0 && started % (sockets / silent) == 0;
      open_socket(c);
    }
    turn(10);
  }
  printf("{\"opened\":%d,\"took\":%.0f}\n", opened, now() - begin);
  fflush(stdout);
  char command[64];
  // Pings are answered while nothing is wanted.
  watch(&publisher, EPOLL_CTL_MOD, EPOLLIN);
  fcntl(0, F_SETFL, fcntl(0, F_GETFL) | O_NONBLOCK);
  for (;;) {
    ssize_t length = read(0, command, sizeof command - 1);
    if (length == 0) return 0;
    if (length < 0) {
      turn(20);
      continue;
    }
    command[length] = 0;
    double seconds, figure;
    if (sscanf(command, "closed %lf %lf", &seconds, &figure) == 2) run(seconds, figure, 0);
    else if (sscanf(command, "paced %lf %lf", &seconds, &figure) == 2) run(seconds, 0, figure);
    else return 0;
  }
}
