// The raw loop the bridge is measured against: librdkafka poll → libcurl POST, and nothing else.
//
// No mapping, no second topic, no signature, no log: a record's value is posted as it is, over kept-alive connections,
// HANDLES at a time; offsets are stored as the posts succeed and committed every second. It ends after COUNT posts.
//
// usage: rawloop BOOTSTRAP TOPIC GROUP URL COUNT [HANDLES]
#include <curl/curl.h>
#include <librdkafka/rdkafka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { MOST_HANDLES = 1024 };

struct post {
    CURL *easy;
    rd_kafka_message_t *record;
};
static struct post posts[MOST_HANDLES];
static struct post *idle[MOST_HANDLES];
static int idle_count;
// A loop that is asked to end leaves its group: the bench's broker never expires a member that is merely gone.
static volatile sig_atomic_t stopping;

static void stop(int number) {
    (void)number;
    stopping = 1;
}

static size_t ignore(char *bytes, size_t size, size_t count, void *context) {
    (void)bytes;
    (void)context;
    return size * count;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[512];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "rawloop: %s\n", error);
        exit(1);
    }
}

static rd_kafka_t *consumer(const char *bootstrap, const char *topic, const char *group) {
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", bootstrap);
    set(conf, "group.id", group);
    set(conf, "auto.offset.reset", "earliest");
    set(conf, "enable.auto.offset.store", "false");
    set(conf, "auto.commit.interval.ms", "1000");
    set(conf, "socket.nagle.disable", "true");
    set(conf, "fetch.wait.max.ms", "10");
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    if (kafka == NULL) {
        fprintf(stderr, "rawloop: %s\n", error);
        exit(1);
    }
    rd_kafka_poll_set_consumer(kafka);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(kafka, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return kafka;
}

// Starts as many posts as there are idle handles and records at hand.
static void start_posts(rd_kafka_t *kafka, CURLM *multi) {
    while (idle_count > 0) {
        rd_kafka_message_t *record = rd_kafka_consumer_poll(kafka, 0);
        if (record == NULL) return;
        if (record->err) {
            rd_kafka_message_destroy(record);
            continue;
        }
        struct post *post = idle[--idle_count];
        post->record = record;
        curl_easy_setopt(post->easy, CURLOPT_POSTFIELDSIZE, (long)record->len);
        curl_easy_setopt(post->easy, CURLOPT_POSTFIELDS, record->payload);
        curl_multi_add_handle(multi, post->easy);
    }
}

// Takes finished posts off; returns how many were accepted.
static long finish_posts(CURLM *multi) {
    long accepted = 0;
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE) continue;
        struct post *post;
        long status = 0;
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&post);
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        curl_multi_remove_handle(multi, easy);
        if (result != CURLE_OK || status != 200) {
            curl_multi_add_handle(multi, easy); // again: the measured receiver answers 200 to everything
            continue;
        }
        rd_kafka_offset_store(post->record->rkt, post->record->partition, post->record->offset);
        rd_kafka_message_destroy(post->record);
        idle[idle_count++] = post;
        accepted++;
    }
    return accepted;
}

int main(int count, char **arguments) {
    if (count < 6) {
        fprintf(stderr, "usage: rawloop BOOTSTRAP TOPIC GROUP URL COUNT [HANDLES]\n");
        return 2;
    }
    long wanted = atol(arguments[5]), done = 0;
    int handles = count > 6 ? atoi(arguments[6]) : 64;
    if (handles < 1 || handles > MOST_HANDLES) return 2;
    signal(SIGTERM, stop);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURLM *multi = curl_multi_init();
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)handles);
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    for (int index = 0; index < handles; index++) {
        CURL *easy = curl_easy_init();
        posts[index].easy = easy;
        curl_easy_setopt(easy, CURLOPT_URL, arguments[4]);
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, ignore);
        curl_easy_setopt(easy, CURLOPT_PRIVATE, (char *)&posts[index]);
        curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 5000L);
        curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(easy, CURLOPT_PROXY, "");
        idle[idle_count++] = &posts[index];
    }
    rd_kafka_t *kafka = consumer(arguments[1], arguments[2], arguments[3]);
    int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(kafka);
    unsigned long long one = 1;
    rd_kafka_queue_io_event_enable(queue, wake, &one, sizeof one);

    while (done < wanted && !stopping) {
        start_posts(kafka, multi);
        int running, ready;
        curl_multi_perform(multi, &running);
        long accepted = finish_posts(multi);
        done += accepted;
        if (accepted > 0 && idle_count > 0) continue;
        struct curl_waitfd extra = {.fd = wake, .events = CURL_WAIT_POLLIN};
        curl_multi_poll(multi, &extra, idle_count > 0 ? 1 : 0, 100, &ready);
        if (extra.revents) {
            unsigned long long value;
            if (read(wake, &value, sizeof value) < 0) continue;
        }
    }
    printf("{\"event\":\"posted\",\"count\":%ld}\n", done);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(kafka); // commits what is stored
    // What was begun and not answered still holds its record, and destroying the consumer would wait for it for ever.
    fflush(stdout);
    _exit(0);
}
