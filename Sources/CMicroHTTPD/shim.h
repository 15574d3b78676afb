// libmicrohttpd: the HTTP server of the API and of the ops listener.
#pragma once
// First, so that the socket types belong to one module for every importer.
#include "../CLinux/shim.h"
#include <microhttpd.h>
#include <string.h>

// MHD_start_daemon is variadic, which Swift cannot call, so the options the server uses are one struct here.
struct cmicrohttpd_options {
    int listen_socket;  // bound and listening; stays the caller's after MHD_quiesce_daemon
    unsigned int connections;
    unsigned int connections_per_address;
    size_t connection_memory;  // request line, header fields and the read buffer of one connection, in bytes
    MHD_AccessHandlerCallback access;
    MHD_RequestCompletedCallback completed;
    MHD_NotifyConnectionCallback connection;
    void *(*request_line)(void *context, const char *target, struct MHD_Connection *connection);
    void *context;  // handed to all four
    const char *certificate, *key;  // PEM, for TLS; both NULL for plain HTTP. Not needed after the start.
};

// The request target is decoded by us, once: the library must not decode it in place.
static inline size_t cmicrohttpd_keep_escapes(void *context, struct MHD_Connection *connection, char *text) {
    (void)context;
    (void)connection;
    return strlen(text);
}

static inline struct MHD_Daemon *cmicrohttpd_start(const struct cmicrohttpd_options *options) {
    // The file's first certificate is the server's, those behind it lead to the authority. TLS 1.2 is what RFC 9325 asks for.
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)options->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)options->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"},
        {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem plain[] = {{MHD_OPTION_END, 0, NULL}};
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | (options->certificate ? MHD_USE_TLS : 0), 0, NULL, NULL, options->access, options->context,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)options->listen_socket,
        MHD_OPTION_CONNECTION_LIMIT, options->connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, options->connections_per_address,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, options->connection_memory,
        MHD_OPTION_NOTIFY_COMPLETED, options->completed, options->context,
        MHD_OPTION_NOTIFY_CONNECTION, options->connection, options->context,
        MHD_OPTION_URI_LOG_CALLBACK, options->request_line, options->context,
        MHD_OPTION_UNESCAPE_CALLBACK, cmicrohttpd_keep_escapes, NULL,
        // Not its strict mode: 0.9.75 sends the head of an answer twice when it misses a Host itself. We look for it.
        MHD_OPTION_STRICT_FOR_CLIENT, 0,
        MHD_OPTION_ARRAY, options->certificate ? tls : plain,
        MHD_OPTION_END);
}

// MHD_get_connection_info is variadic and answers a union; one plain function for each member in use.
static inline int cmicrohttpd_socket(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info ? (int)info->connect_fd : -1;
}
static inline void *cmicrohttpd_socket_context(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}
static inline const struct sockaddr *cmicrohttpd_client_address(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    return info ? info->client_addr : NULL;
}
// Bytes from the first of the method to behind the empty line; known once the head is complete.
static inline size_t cmicrohttpd_head_size(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info ? info->header_size : 0;
}
static inline int cmicrohttpd_is_started(enum MHD_ConnectionNotificationCode code) {
    return code == MHD_CONNECTION_NOTIFY_STARTED;
}
// Swift's own buffer is copied, so that it may go as soon as this returns.
static inline struct MHD_Response *cmicrohttpd_response(const void *body, size_t size) {
    return MHD_create_response_from_buffer(size, (void *)body, MHD_RESPMEM_MUST_COPY);
}
// MHD_HEADER_KIND is a value of a flags enumeration, which Swift does not import by that name.
static inline int cmicrohttpd_each_header(struct MHD_Connection *connection, MHD_KeyValueIteratorN body,
                                          void *context) {
    return MHD_get_connection_values_n(connection, MHD_HEADER_KIND, body, context);
}
