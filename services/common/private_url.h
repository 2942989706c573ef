// URLs that secrets may be sent to. Pure.
#pragma once

#include <string_view>

namespace allod {

// Whether nobody on the way reads what goes there: https, or http on this machine (127.0.0.1, [::1], localhost). It
// names a host, and no user before it: readers of URLs do not agree where the host begins behind one.
bool IsPrivateUrl(std::string_view url);

// Whether it is the origin of such a URL and nothing else, as browsers write it: scheme, host in lower case, and a port
// if there is one.
bool IsPrivateOrigin(std::string_view url);

}  // namespace allod
