// SPDX's lists of identifiers, made at build time from the npm packages that carry them (deploy/cmake/AllodSpdx.cmake).
#pragma once

#include <span>
#include <string_view>

namespace allod {

extern const std::span<const std::string_view> kSpdxLicenseIds;  // deprecated ones included
extern const std::span<const std::string_view> kSpdxExceptionIds;

}  // namespace allod
