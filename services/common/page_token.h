// Pagination (AIP-158): page sizes clamped, page tokens opaque and bound to the list that gave them.
//
//   ALLOD_TRY(const PageRequest page, ParsePage("projects of tenants/ke", req->page_size(), req->page_token()));
//   ... SELECT ... WHERE id > page.after ORDER BY id LIMIT page.size + 1 ...
//   Page<Project> out = MakePage(page, std::move(rows), [](const Project& p) { return p.id; });
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "services/common/result.h"

namespace allod {

inline constexpr int kPageSizeDefault = 50;
inline constexpr int kPageSizeMax = 1000;

struct PageRequest {
  std::string scope;  // which list; a token of another list is refused
  int size = kPageSizeDefault;
  std::string after;  // sort key of the last item already given; empty on the first page
};

template <typename T>
struct Page {
  std::vector<T> items;
  std::string next_page_token;  // empty on the last page
};

// `scope` names the list with its parent and filters. Size 0 means the default, more than `size_max` is clamped to it.
// INVALID_ARGUMENT / INVALID_PAGE_SIZE (negative), INVALID_PAGE_TOKEN (not given out by this list).
Result<PageRequest> ParsePage(std::string scope, int page_size, std::string_view page_token,
                              int size_max = kPageSizeMax);

// At most 256 bytes of `after`.
std::string EncodePageToken(std::string_view scope, std::string_view after);

// Of up to page.size + 1 items in order; the surplus item only says that there is another page.
template <typename T, typename KeyOf>
Page<T> MakePage(const PageRequest& page, std::vector<T> items, KeyOf&& key_of) {
  Page<T> out{std::move(items), ""};
  if (out.items.size() > static_cast<std::size_t>(page.size)) {
    out.items.resize(static_cast<std::size_t>(page.size));
    out.next_page_token = EncodePageToken(page.scope, key_of(out.items.back()));
  }
  return out;
}

}  // namespace allod
