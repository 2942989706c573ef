// Names of nothing, each like one of something but for an id. Pure.
#pragma once

#include <string>
#include <vector>

namespace allod {

// Of the same form, a UUID for a UUID, and always the same one.
std::string AbsentId(const std::string& id);

// The resource name with each of its ids in turn, from the tenant's on, being nobody's; without what stands for itself
// ("invoices/current", "projects/-").
std::vector<std::string> AbsentNames(const std::string& name);

// `text` about `absent` as it would read if it were about `present`.
std::string Alike(std::string text, const std::string& present, const std::string& absent);

}  // namespace allod
