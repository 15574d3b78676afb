// c-ares: asynchronous DNS whose sockets and time-outs the HTTP engine's own loop serves.
#pragma once
// First, so that the socket types belong to CLinux in every build: in a whole-module build they became c-ares's own,
// and Swift then did not find them under the module they were asked from.
#include "../CLinux/shim.h"

#include <ares.h>
#include <ares_dns.h>
#include <netdb.h>
