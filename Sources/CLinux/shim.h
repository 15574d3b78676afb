// What Linux offers and Swift's Glibc module leaves out: epoll, eventfd, timerfd, signalfd, thread names.
#pragma once
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <malloc.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

// Declared here because the header hides it without _GNU_SOURCE, and that macro changes types Glibc's module also has.
int pthread_setname_np(pthread_t thread, const char *name);
