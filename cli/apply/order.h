// In which order the documents of a manifest are applied. Pure.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/apply/manifest.h"

namespace allod::cli::apply {

// As they stand, but each behind those that `before` names, where they are among them. Of documents that come before
// each other in a ring the first comes first: the service says what is wrong with them.
std::vector<Document> InOrder(std::vector<Document> documents,
                              const std::function<std::vector<std::string>(const Document&)>& before);

}  // namespace allod::cli::apply
