// The trace that a call belongs to: W3C Trace Context (https://www.w3.org/TR/trace-context/), so that what one request
// caused is found in the logs of every process that had a part in it.
//
// No spans are recorded here: a process passes the trace on as it came, its parent id included, as the recommendation
// allows those who do not take part in sampling or timing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace allod {

struct Trace {
  // Of the HTTP header and of the gRPC metadata.
  static constexpr char kKey[] = "traceparent";

  std::string trace_id;   // 32 hex digits, lower case, not all zero
  std::string parent_id;  // 16 of these: the span that made the call
  bool sampled = false;   // the caller may have recorded it

  // A trace that begins here.
  static Trace New();
  // Strict; nullopt for what is no traceparent. Of a later version what this one knows.
  static std::optional<Trace> Parse(std::string_view traceparent);
  // As a traceparent of version 00.
  std::string ToString() const;

  bool operator==(const Trace&) const = default;
};

}  // namespace allod
