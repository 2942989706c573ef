#include "cli/apply/order.h"

#include <map>
#include <utility>

namespace allod::cli::apply {

std::vector<Document> InOrder(std::vector<Document> documents,
                              const std::function<std::vector<std::string>(const Document&)>& before) {
  std::map<std::string, std::size_t> by_name;
  for (std::size_t i = 0; i < documents.size(); ++i) by_name.emplace(documents[i].name, i);
  std::vector<Document> out;
  std::vector<bool> taken(documents.size());
  // As deep as there are documents at most, of which a manifest has few.
  const std::function<void(std::size_t)> take = [&](std::size_t at) {
    if (taken[at]) return;
    taken[at] = true;
    for (const std::string& name : before(documents[at])) {
      if (const auto found = by_name.find(name); found != by_name.end()) take(found->second);
    }
    out.push_back(std::move(documents[at]));
  };
  for (std::size_t i = 0; i < documents.size(); ++i) take(i);
  return out;
}

}  // namespace allod::cli::apply
