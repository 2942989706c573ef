// Reads server-sent events (WHATWG HTML, section 9.2) as they arrive in pieces. Only `data` matters here; comments are
// skipped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace allod::cli::net {

class SseReader {
 public:
  // The data of every event that `bytes` completes. An event may be at most 1 MiB; a longer one is dropped.
  std::vector<std::string> Feed(std::string_view bytes);

 private:
  std::string line_;
  std::string data_;
};

}  // namespace allod::cli::net
