rem Active Directory: what reconciler's reader needs beyond an ordinary domain user, and no more. Run as a domain administrator.
rem Change EXAMPLE\reconciler and the DNs to yours. The reader is an ordinary user: no group but Domain Users.

rem 1. Deleted accounts, for live re-reads: without this, an account that is not there is "not evaluable", never "gone".
dsacls "CN=Deleted Objects,DC=example,DC=org" /takeownership
dsacls "CN=Deleted Objects,DC=example,DC=org" /G EXAMPLE\reconciler:LCRP

rem 2. Only where Authenticated Users was taken out of the group Pre-Windows 2000 Compatible Access: states and memberships.
dsacls "DC=example,DC=org" /I:S /G "EXAMPLE\reconciler:RP;Account Restrictions;user"
dsacls "DC=example,DC=org" /I:S /G "EXAMPLE\reconciler:RP;Logon Information;user"
dsacls "DC=example,DC=org" /I:S /G "EXAMPLE\reconciler:RP;Group Membership;user"
dsacls "DC=example,DC=org" /I:S /G "EXAMPLE\reconciler:RP;General Information;user"
dsacls "DC=example,DC=org" /I:S /G "EXAMPLE\reconciler:RP;;group"

rem 3. The same three property sets for managed service accounts, where these are hidden as well.
dsacls "CN=Managed Service Accounts,DC=example,DC=org" /I:S /G "EXAMPLE\reconciler:RP;;msDS-GroupManagedServiceAccount"
dsacls "CN=Managed Service Accounts,DC=example,DC=org" /I:S /G "EXAMPLE\reconciler:RP;;msDS-ManagedServiceAccount"
