// What a buffer of Beast's holds.
#pragma once

#include <boost/beast/core/flat_buffer.hpp>
#include <string_view>

namespace allod::gateway::http {

// Valid until the buffer changes.
inline std::string_view View(const boost::beast::flat_buffer& buffer) {
  const auto bytes = buffer.data();
  return {static_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace allod::gateway::http
