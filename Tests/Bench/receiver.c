// The subscriber of the benches: HTTP/1.1 with keep-alive on one epoll, answers 200 to every POST.
//
// A body that carries "at-NANOSECONDS" (CLOCK_MONOTONIC of the produce call) is timed; the histogram has 1 % steps.
// Commands on stdin, answers as JSON lines on stdout:
//   reset N     forget everything; then {"event":"warm"} at the N/10-th receipt and {"event":"done"} at the N-th
//   report      {"event":"report", ...} now
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER_BYTES = 256 * 1024, HISTOGRAM_STEPS = 2400, MOST_DESCRIPTORS = 8192, ANSWERS_AT_ONCE = 64,
       RECEIPTS = 65536 };
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

struct connection {
    char *bytes;
    size_t held;
};
static struct connection connections[MOST_DESCRIPTORS];

static uint64_t received, expected, timed, warm_at, done_at;
static uint64_t histogram[HISTOGRAM_STEPS];
// When the last receipts were, and the most there were within any second: `busiest`, right up to RECEIPTS a second.
static uint64_t receipts[RECEIPTS], oldest_receipt, busiest;

static uint64_t now_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

// Microseconds to a step of 1 %, and back to its upper edge.
static int step_of(double microseconds) {
    int step = microseconds < 1 ? 0 : (int)(log(microseconds) / log(1.01));
    return step < HISTOGRAM_STEPS ? step : HISTOGRAM_STEPS - 1;
}

static double percentile_milliseconds(double share) {
    uint64_t wanted = (uint64_t)ceil((double)timed * share), seen = 0;
    for (int step = 0; step < HISTOGRAM_STEPS; step++) {
        seen += histogram[step];
        if (wanted > 0 && seen >= wanted) return pow(1.01, step + 1) / 1000;
    }
    return 0;
}

static void report(const char *event) {
    double seconds = done_at > warm_at && warm_at > 0 ? (double)(done_at - warm_at) / 1e9 : 0;
    double counted = (double)(expected - expected / 10);
    printf("{\"event\":\"%s\",\"received\":%llu,\"timed\":%llu,\"perSecond\":%.1f,\"p50\":%.3f,\"p90\":%.3f,"
           "\"p99\":%.3f,\"max\":%.3f,\"seconds\":%.3f,\"busiest\":%llu}\n",
           event, (unsigned long long)received, (unsigned long long)timed, seconds > 0 ? counted / seconds : 0,
           percentile_milliseconds(0.5), percentile_milliseconds(0.9), percentile_milliseconds(0.99),
           percentile_milliseconds(1), seconds, (unsigned long long)busiest);
    fflush(stdout);
}

static void count(const char *body, size_t length) {
    uint64_t now = now_nanoseconds();
    const char *mark = memmem(body, length, "\"at-", 4);
    if (mark != NULL) {
        // The body is followed by other bytes of the buffer or its closing NUL: strtoull stops at the quote.
        uint64_t sent = strtoull(mark + 4, NULL, 10);
        if (sent > 0 && sent <= now) {
            histogram[step_of((double)(now - sent) / 1000)]++;
            timed++;
        }
    }
    receipts[received % RECEIPTS] = now;
    received++;
    if (oldest_receipt + RECEIPTS < received) oldest_receipt = received - RECEIPTS;
    while (now - receipts[oldest_receipt % RECEIPTS] >= 1000000000u) oldest_receipt++;
    if (received - oldest_receipt > busiest) busiest = received - oldest_receipt;
    if (expected == 0) return;
    if (received == expected / 10) {
        warm_at = now;
        report("warm");
    }
    if (received == expected) {
        done_at = now;
        report("done");
    }
}

static void command(char *line) {
    unsigned long long number;
    if (sscanf(line, "reset %llu", &number) == 1) {
        received = timed = warm_at = done_at = oldest_receipt = busiest = 0;
        expected = number;
        memset(histogram, 0, sizeof histogram);
        report("reset");
    } else if (strncmp(line, "report", 6) == 0) {
        report("report");
    }
}

// Takes the whole requests off a connection's buffer; false when what is there is no request.
static int serve(int descriptor, struct connection *connection) {
    size_t at = 0;
    int answers = 0;
    char out[ANSWERS_AT_ONCE * (sizeof answer - 1)];
    size_t filled = 0;
    while (at < connection->held) {
        char *start = connection->bytes + at;
        char *end = memmem(start, connection->held - at, "\r\n\r\n", 4);
        if (end == NULL) break;
        *end = 0;
        char *field = strcasestr(start, "\r\ncontent-length:");
        *end = '\r';
        if (memcmp(start, "POST ", 5) != 0 || field == NULL) return 0;
        size_t body = strtoul(field + 17, NULL, 10), head = (size_t)(end + 4 - start);
        if (head + body > BUFFER_BYTES) return 0;
        if (connection->held - at < head + body) break;
        count(start + head, body);
        at += head + body;
        memcpy(out + filled, answer, sizeof answer - 1);
        filled += sizeof answer - 1;
        if (++answers == ANSWERS_AT_ONCE) {
            if (write(descriptor, out, filled) != (ssize_t)filled) return 0;
            answers = 0;
            filled = 0;
        }
    }
    if (filled > 0 && write(descriptor, out, filled) != (ssize_t)filled) return 0;
    connection->held -= at;
    if (connection->held > 0) memmove(connection->bytes, connection->bytes + at, connection->held);
    return 1;
}

static void close_connection(int descriptor) {
    free(connections[descriptor].bytes);
    connections[descriptor] = (struct connection){0};
    close(descriptor);
}

static void read_connection(int descriptor) {
    struct connection *connection = &connections[descriptor];
    ssize_t got = read(descriptor, connection->bytes + connection->held, BUFFER_BYTES - connection->held);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
        close_connection(descriptor);
        return;
    }
    connection->held += (size_t)got;
    connection->bytes[connection->held] = 0;
    if (!serve(descriptor, connection)) close_connection(descriptor);
}

static void accept_all(int listener, int poller) {
    for (;;) {
        int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (descriptor < 0) return;
        if (descriptor >= MOST_DESCRIPTORS) {
            close(descriptor);
            continue;
        }
        int on = 1;
        setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        connections[descriptor] = (struct connection){malloc(BUFFER_BYTES + 1), 0};
        struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
        epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
    }
}

int main(int count_of_arguments, char **arguments) {
    signal(SIGPIPE, SIG_IGN);
    int port = count_of_arguments > 1 ? atoi(arguments[1]) : 0;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 1024) != 0) {
        perror("receiver");
        return 1;
    }
    getsockname(listener, (struct sockaddr *)&address, &length);
    printf("{\"event\":\"listening\",\"port\":%d}\n", ntohs(address.sin_port));
    fflush(stdout);

    int poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    event.data.fd = STDIN_FILENO;
    epoll_ctl(poller, EPOLL_CTL_ADD, STDIN_FILENO, &event);
    struct epoll_event events[256];
    for (;;) {
        int ready = epoll_wait(poller, events, 256, -1);
        for (int index = 0; index < ready; index++) {
            int descriptor = events[index].data.fd;
            if (descriptor == listener) {
                accept_all(listener, poller);
            } else if (descriptor == STDIN_FILENO) {
                char line[256];
                ssize_t got = read(STDIN_FILENO, line, sizeof line - 1);
                if (got <= 0) return 0;
                line[got] = 0;
                command(line);
            } else {
                read_connection(descriptor);
            }
        }
    }
}
