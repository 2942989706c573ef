// A page of a list as the answer that carries it: as many items as were asked for, and no more than fit into a message.
#pragma once

#include <google/protobuf/repeated_field.h>

#include <cstddef>
#include <string>
#include <vector>

#include "services/common/page_token.h"
#include "services/common/rpc/call.h"

namespace allod {

// Of the 4 MiB of a message (ServerConfig::message_bytes_max); the rest is for the token and what frames the items.
inline constexpr std::size_t kPageBytesMax = 3 << 20;

// Adds what `make` makes of each row to `items` and answers with the token of the next page. `rows` are up to page.size
// + 1 in order, as for MakePage(). The page ends before an item with which it would exceed kPageBytesMax, but not
// before the first. A row of which `make` makes nothing (std::nullopt) is left out and passed over. Stops with what
// CheckAwaited() says when nobody waits for the answer any more.
template <typename Row, typename Item, typename Make, typename KeyOf>
Result<std::string> FillPage(const Call& call, const PageRequest& page, const std::vector<Row>& rows, Make&& make,
                             KeyOf&& key_of, google::protobuf::RepeatedPtrField<Item>& items) {
  constexpr std::size_t kFrameBytes = 8;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto next_page = [&] { return EncodePageToken(page.scope, key_of(rows[i - 1])); };
    if (i == static_cast<std::size_t>(page.size)) return next_page();
    ALLOD_CHECK_OK(CheckAwaited(call));
    auto item = make(rows[i]);
    if (!item) continue;
    bytes += item->ByteSizeLong() + kFrameBytes;
    if (!items.empty() && bytes > kPageBytesMax) return next_page();
    *items.Add() = *std::move(item);
  }
  return std::string();
}

}  // namespace allod
