// An HTTP request and response as handlers see them: plain values, free of the HTTP library that the edge uses.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/common/clock.h"
#include "services/common/ids.h"
#include "services/common/ip_range.h"
#include "services/common/result.h"
#include "services/common/trace.h"

namespace allod::gateway::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  Uuid id;  // UUIDv7 fixed when the head was read; sent back as x-request-id and used as the usage record's id
  Time receive_time;
  Trace trace;         // of the client's traceparent, or one that begins here
  std::string method;  // e.g. "POST"
  std::string path;    // percent-encoded as it came, without the query
  std::string query;   // after '?', percent-encoded
  Headers headers;     // names in lower case
  bool has_body = false;
  std::optional<IpAddress> client;  // where it comes from (client_address.h); nothing: that is not known
  std::string body;                 // decoded; empty before it was read

  // The first header of that (lower-case) name; empty if there is none.
  std::string_view Header(std::string_view lower_case_name) const;
  // "192.0.2.1"; "unknown" when it is not known where the request comes from.
  std::string ClientText() const { return client ? client->ToString() : "unknown"; }
};

// Of the header `traceparent`; one that begins here if there is none, more than one, or no valid one.
Trace TraceOf(const Headers& headers);

struct Response {
  int status = 200;
  std::string content_type = "application/json";
  Headers headers;
  std::string body;
};

// Sets path and query from the target of a request line: origin form, absolute form, or "*" (RFC 9112 section 3.2).
// INVALID_ARGUMENT / INVALID_TARGET.
Status SetTarget(std::string_view target, Request& request);

// Whether path and query are percent-encoded UTF-8; so that nobody behind meets anything else. INVALID_ARGUMENT /
// INVALID_ENCODING.
Status CheckTarget(const Request& request);

// Whether `text` is that token in any case, blanks around it aside.
bool SameToken(std::string_view text, std::string_view lower_case_token);

// `a=1&b=x%20y` in order; at most 64 pairs. INVALID_ARGUMENT / INVALID_QUERY, INVALID_ENCODING.
Result<std::vector<std::pair<std::string, std::string>>> ParseQuery(std::string_view query);

using Fields = std::map<std::string, std::string, std::less<>>;
// The same by name, each once: INVALID_ARGUMENT / INVALID_QUERY too for one that is there twice.
Result<Fields> ParseFields(std::string_view text);
// Of a field that is not there: empty.
std::string ValueOf(const Fields& fields, std::string_view name);

// The reason phrase of a status code, "Unknown" for one that is never sent.
std::string_view StatusPhrase(int status);

}  // namespace allod::gateway::http
