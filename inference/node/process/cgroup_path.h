// Where this process stands in the hierarchies of control groups.
#pragma once

#include <string>

namespace allod::inference::node::process {

// The path below the mount of `controller`'s hierarchy (version 1); of version 2, which has no name, for "". Empty when
// there is no such hierarchy.
std::string OwnCgroup(const std::string& controller);

}  // namespace allod::inference::node::process
