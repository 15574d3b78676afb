// c-ares: asynchronous DNS whose sockets and time-outs the HTTP engine's own loop serves.
#pragma once
#include <ares.h>
#include <ares_dns.h>
#include <netdb.h>
