/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types of control frames and the message each carries (proto/control.proto). A number is never
 * used again for something else.
 */
#ifndef CELLULAR_PROTO_CONTROL_H
#define CELLULAR_PROTO_CONTROL_H

#include "proto/base/err.h"
#include "proto/control.pb-c.h"

/* number, name, protobuf-c descriptor prefix, C type */
#define CTL_TYPES(X)                                                                               \
	X(1, CTL_REQUEST, cellular__ctl_request, Cellular__CtlRequest)                             \
	X(2, CTL_REPLY, cellular__ctl_reply, Cellular__CtlReply)                                   \
	X(10, CELLD_JOIN, cellular__celld_join, Cellular__CelldJoin)                               \
	X(11, CELLD_WELCOME, cellular__celld_welcome, Cellular__CelldWelcome)                      \
	X(12, CELL_LOAD, cellular__cell_load, Cellular__CellLoad)                                  \
	X(20, FRAG_START, cellular__frag_start, Cellular__FragStart)                               \
	X(21, FRAG_PEERS, cellular__frag_peers, Cellular__FragPeers)                               \
	X(22, FRAG_RUN, cellular__frag_run, Cellular__FragRun)                                     \
	X(23, FRAG_QUIT, cellular__frag_quit, Cellular__FragQuit)                                  \
	X(24, FRAG_QUERY, cellular__frag_query, Cellular__FragQuery)                               \
	X(25, FRAG_REPORT, cellular__frag_report, Cellular__FragReport)                            \
	X(26, FRAG_ANSWER, cellular__frag_answer, Cellular__FragAnswer)                            \
	X(27, FRAG_CONSOLE, cellular__frag_console, Cellular__FragConsole)

enum ctl_type {
#define X(number, name, prefix, type) CTL_TYPE_##name = (number),
	CTL_TYPES(X)
#undef X
};

/* Descriptor of a type, or NULL if it is unknown. */
const ProtobufCMessageDescriptor *ctl_descriptor(uint16_t type);
const char *ctl_type_name(uint16_t type);

enum { CTL_UNPACK_MAX = 64 << 20 }; /* bytes of memory one message may take when it is unpacked */

/* Unpacks n bytes that came from a peer. Free *out with ctl_free. UNSUPPORTED: unknown type;
 * PROTOCOL: does not unpack, or takes too much memory. Strings and numbers inside are the
 * receiver's to check. */
int ctl_unpack(uint16_t type, const uint8_t *bytes, size_t n, ProtobufCMessage **out,
	       struct err *e);
void ctl_free(ProtobufCMessage *message); /* NULL is allowed */

#endif
