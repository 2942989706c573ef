// Lists that services give page by page (AIP-158).
#pragma once

#include <algorithm>
#include <vector>

#include "cli/net/connections.h"
#include "cli/terminal/print.h"

namespace allod::cli::net {

constexpr int kPageSizeMax = 1000;

struct Listed {
  std::vector<terminal::MessagePtr> items;
  bool has_more = false;  // than were asked for
};

// Appends copies of what a page holds: its one repeated field.
void AppendItems(const google::protobuf::Message& page, std::vector<terminal::MessagePtr>& items);

// At most `items_max` of what a ListX method lists.
template <typename Service, typename Req, typename Resp>
Result<Listed> List(const Services& services,
                    grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Req&, Resp*), Req request,
                    int items_max) {
  const auto stub = Connect<Service>(services);
  Listed listed;
  do {
    request.set_page_size(std::min(kPageSizeMax, items_max - static_cast<int>(listed.items.size())));
    ALLOD_TRY(const Resp page, Ask(*stub, method, request));
    AppendItems(page, listed.items);
    listed.has_more = !page.next_page_token().empty();
    request.set_page_token(page.next_page_token());
  } while (listed.has_more && static_cast<int>(listed.items.size()) < items_max);
  return listed;
}

}  // namespace allod::cli::net
