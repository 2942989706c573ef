// All kinds of resource that the command line knows, and how they are found.
#pragma once

#include <string>
#include <vector>

#include "cli/kinds/kind.h"

namespace allod::cli::kinds {

const std::vector<ResourceKind>& ResourceKinds();

// By kind, plural or singular in any case. INVALID_ARGUMENT / UNKNOWN_KIND lists the known ones.
Result<const ResourceKind*> FindKind(const std::string& text);

// "tenants, projects, ...": those that `chosen` holds for, all of them by default.
std::string KindNames(bool (*chosen)(const ResourceKind&) = [](const ResourceKind&) { return true; });

// "tenants/ke" of "ke" where names are PLURAL/ID; else as it is.
std::string SpelledOut(const std::string& pattern, const std::string& text);

// The resource of that name, spelled out or not; a kind that has no method to get one is looked up in its list.
// INVALID_ARGUMENT / INVALID_NAME; NOT_FOUND.
Result<terminal::MessagePtr> GetOne(const net::Services& services, const ResourceKind& kind, const std::string& name);

}  // namespace allod::cli::kinds
