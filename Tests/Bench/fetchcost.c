// What a record that was fetched and not read costs a librdkafka client: `dead` takes it off the bridge's memory, since the
// bench's broker answers a fetch with all there is, whatever was asked for.
//
// Fetches the last TAIL records of each partition, reads none, and prints {"records":N,"bytesPerRecord":B} of its memory.
//
// usage: fetchcost BOOTSTRAP TOPIC TAIL
#include <librdkafka/rdkafka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PATIENCE_MS = 30000, QUIET_MS = 3000, STEP_MS = 100 };

static double resident_bytes(void) {
    long pages = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &pages, &resident) != 2) exit(1);
    fclose(file);
    return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value) {
    char error[512];
    if (rd_kafka_conf_set(conf, name, value, error, sizeof error) != RD_KAFKA_CONF_OK) {
        fprintf(stderr, "fetchcost: %s\n", error);
        exit(1);
    }
}

int main(int count, char **arguments) {
    if (count != 4) {
        fprintf(stderr, "usage: fetchcost BOOTSTRAP TOPIC TAIL\n");
        return 2;
    }
    char error[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", arguments[1]);
    set(conf, "group.id", "fetchcost");
    set(conf, "enable.auto.commit", "false");
    set(conf, "queued.min.messages", "10000000");
    set(conf, "queued.max.messages.kbytes", "1048576");
    rd_kafka_t *kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
    if (kafka == NULL) {
        fprintf(stderr, "fetchcost: %s\n", error);
        return 1;
    }
    rd_kafka_poll_set_consumer(kafka);
    rd_kafka_topic_t *topic = rd_kafka_topic_new(kafka, arguments[2], NULL);
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(kafka, 0, topic, &metadata, 10000) != RD_KAFKA_RESP_ERR_NO_ERROR) return 1;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(64);
    for (int index = 0; index < metadata->topics[0].partition_cnt; index++) {
        rd_kafka_topic_partition_list_add(list, arguments[2], metadata->topics[0].partitions[index].id)->offset =
            RD_KAFKA_OFFSET_TAIL(atol(arguments[3]));
    }
    double before = resident_bytes();
    rd_kafka_assign(kafka, list);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(kafka);
    size_t records = 0;
    int quiet = 0;
    for (int waited = 0; waited < PATIENCE_MS && quiet < QUIET_MS; waited += STEP_MS) {
        usleep(STEP_MS * 1000);
        size_t now = rd_kafka_queue_length(queue);
        quiet = now == records && now > 0 ? quiet + STEP_MS : 0;
        records = now;
    }
    malloc_trim(0);
    if (records == 0) return 1;
    printf("{\"records\":%zu,\"bytesPerRecord\":%.0f}\n", records, (resident_bytes() - before) / (double)records);
    fflush(stdout);
    _exit(0);
}
