// What a tenant and a project of it have, one of each kind, made by the services' own methods.
#pragma once

#include <string>
#include <vector>

#include "tests/integration/all_methods.h"

namespace allod {

// Stands in the texts that people wrote: nobody else may read it.
inline constexpr char kSecretText[] = "5iri-ya-nyota";

struct Belongings {
  std::string tenant;              // "tenants/ke"
  std::string project;             // "tenants/ke/projects/services"
  std::string word;                // the id of each thing that has one that is chosen
  std::vector<std::string> names;  // of every resource, and of lists across projects
  std::vector<std::string> ids;    // UUIDs: of the tenant, of instances, of requests
  std::string kid;                 // of an API key
};

// With an account.
void MakeTenant(const AllMethods& methods, const std::string& id);
// Two of what is listed, so that lists have pages.
Belongings Furnish(const AllMethods& methods, const std::string& tenant_id, const std::string& project_id,
                   const std::string& word);

}  // namespace allod
