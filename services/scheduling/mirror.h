// What is known of a tenant's rows without reading them all again: what a plan was made for, what an applied plan made
// of them, and a part that was loaded by itself. Pure functions; `rows` hold CheckWhole().
#pragma once

#include <map>
#include <string>

#include "services/scheduling/observe.h"
#include "services/scheduling/store.h"

namespace allod::scheduling {

// A tenant as it is seen now, and what of it the rows do not say yet.
struct Sighting {
  TenantState seen;
  Changes changes;
};

Sighting LookAt(const TenantState& rows, const Sight& sight, Time now);

// The parts of a plan that belong to these tenants, and the replicas that it makes, so that what is said of their
// instances is true when the plan is carried out.
void Distribute(const scheduler::Plan& plan, Time now, std::map<TenantId, Sighting>& sightings);

// What is to be said of instances and operations after the plan. `obstacles` are why something of an instance cannot
// be.
void AddStatus(const TenantState& rows, const Sight& sight, const Permit& permit,
               const std::map<Uuid, std::string>& obstacles, Sighting& sighting);

// What an applied plan made of the rows. False when that is not known: something of the plan no longer held, or a
// revision that it needs was not read.
bool Mirror(TenantState& rows, const Changes& changes, const Applied& applied, Time now);

// Puts what was loaded of one instance in the place of what was known of it.
void Replace(TenantState& rows, const std::string& name, TenantState part);

}  // namespace allod::scheduling
