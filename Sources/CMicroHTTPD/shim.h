// libmicrohttpd: the HTTP server of the API and of the ops listener.
#pragma once
#include <microhttpd.h>
