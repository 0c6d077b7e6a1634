# bash completion of farlan: the output of "farlan completion bash"
_farlan()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local said= words= options= i skip=
	case $prev in
	--home) COMPREPLY=($(compgen -d -- "$cur")); return ;;
	--token-file | --cacert | -w | --write | --passphrase-file | --password-file) COMPREPLY=($(compgen -f -- "$cur")); return ;;
	-o | --output) COMPREPLY=($(compgen -W "table json jsonl" -- "$cur")); return ;;
	--auto-assign | --ipv6-auto | --auto-ip | --public | --ip-guard | --ra-guard | --dhcp-guard | --broadcast | --multicast | --bridge | --dhcp-server | --router | --relay | --anchor | --replicator | --passive | --ip-guard-exempt | --until-direct | --game | --online | --enabled | --allow-private) COMPREPLY=($(compgen -W "on off" -- "$cur")); return ;;
	--home | -o | --output | --url | --token-file | --cacert | --pin | --dev | --wait | -w | --write | --only | --direction | --ipv4 | --range | --auto-assign | --ethertypes | --ipv6-auto | --auto-ip | --mtu | --public | --storm | --multicast-rate | --multicast-limit | --ip-guard | --ra-guard | --dhcp-guard | --broadcast | --multicast | --name | --ip | --bridge | --dhcp-server | --router | --relay | --anchor | --replicator | --passive | --ip-guard-exempt | --count | --interval | --until-direct | --since | --key | --threshold | --root | --region | --weight | --network | --via | --game | --metric | --listen | --address | --http | --https | --zt1 | --passphrase-file | --member | --last | --actor | --action | --limit | --head | --uses | --ephemeral | --role | --expires | --tag | --description | --reason | --state | --online | --link | --search | --sort | --route | --dns | --event | --to | --enabled | --allow-private | --scope | --password-file) return ;;
	esac
	for ((i = 1; i < COMP_CWORD; i++)); do
		if [[ $skip ]]; then skip=; continue; fi
		case ${COMP_WORDS[i]} in
		--home | -o | --output | --url | --token-file | --cacert | --pin | --dev | --wait | -w | --write | --only | --direction | --ipv4 | --range | --auto-assign | --ethertypes | --ipv6-auto | --auto-ip | --mtu | --public | --storm | --multicast-rate | --multicast-limit | --ip-guard | --ra-guard | --dhcp-guard | --broadcast | --multicast | --name | --ip | --bridge | --dhcp-server | --router | --relay | --anchor | --replicator | --passive | --ip-guard-exempt | --count | --interval | --until-direct | --since | --key | --threshold | --root | --region | --weight | --network | --via | --game | --metric | --listen | --address | --http | --https | --zt1 | --passphrase-file | --member | --last | --actor | --action | --limit | --head | --uses | --ephemeral | --role | --expires | --tag | --description | --reason | --state | --online | --link | --search | --sort | --route | --dns | --event | --to | --enabled | --allow-private | --scope | --password-file) skip=1 ;;
		-*) ;;
		*) said="${said:+$said }${COMP_WORDS[i]}" ;;
		esac
	done
	case $said in
	"") words="status join wait leave networks peers top ping netcheck events fdb groups wake drops metrics capture set port root server id root-line root-set network topology traffic member preapproval invite page user token webhook audit backup restore controller completion version help" ;;
	"status"*) options="" ;;
	"join"*) options="--dev --wait " ;;
	"wait"*) options="--wait " ;;
	"leave"*) options="" ;;
	"networks"*) options="" ;;
	"peers"*) options="" ;;
	"top"*) options="--count --interval --once " ;;
	"ping"*) options="--count --until-direct " ;;
	"netcheck"*) options="" ;;
	"events"*) options="--wait --since " ;;
	"fdb"*) options="" ;;
	"groups"*) options="" ;;
	"wake"*) options="--network --via " ;;
	"drops"*) options="" ;;
	"metrics"*) options="" ;;
	"capture"*) options="--write --only --direction --text " ;;
	"set"*) options="--game --metric " ;;
	"port") words="add remove list" ;;
	"port add"*) options="" ;;
	"port remove"*) options="" ;;
	"port list"*) options="" ;;
	"root") words="status" ;;
	"root status"*) options="" ;;
	"server") words="up status down" ;;
	"server up"*) options="--ipv4 --name --listen --address --http --https --zt1-api --zt1 " ;;
	"server status"*) options="" ;;
	"server down"*) options="--purge --yes " ;;
	"id"*) options="" ;;
	"root-line"*) options="" ;;
	"root-set") words="new-key create add remove keys sign show verify" ;;
	"root-set new-key"*) options="" ;;
	"root-set create"*) options="--key --threshold --root " ;;
	"root-set add"*) options="--region --weight " ;;
	"root-set remove"*) options="" ;;
	"root-set keys"*) options="--key --threshold " ;;
	"root-set sign"*) options="--key " ;;
	"root-set show"*) options="" ;;
	"root-set verify"*) options="" ;;
	"network") words="create list show set delete" ;;
	"network create"*) options="--ipv4 --range --auto-assign --ethertypes --ipv6-auto --mtu --public --storm --multicast-rate --multicast-limit --ip-guard --ra-guard --dhcp-guard --broadcast --multicast --description --route --dns " ;;
	"network list"*) options="" ;;
	"network show"*) options="" ;;
	"network set"*) options="--ipv4 --range --auto-assign --ethertypes --ipv6-auto --mtu --public --storm --multicast-rate --multicast-limit --ip-guard --ra-guard --dhcp-guard --broadcast --multicast --name --description --route --dns " ;;
	"network delete"*) options="" ;;
	"topology"*) options="" ;;
	"traffic"*) options="--member --last " ;;
	"member") words="list show approve deny revoke ban unban delete set preapprove reserve" ;;
	"member list"*) options="--limit --tag --state --online --link --search --sort --wide " ;;
	"member show"*) options="" ;;
	"member approve"*) options="--name --ip --expires --tag --description " ;;
	"member deny"*) options="--reason " ;;
	"member revoke"*) options="--reason " ;;
	"member ban"*) options="--reason " ;;
	"member unban"*) options="" ;;
	"member delete"*) options="" ;;
	"member set"*) options="--auto-ip --name --ip --bridge --dhcp-server --router --relay --anchor --replicator --passive --ip-guard-exempt --expires --tag --description " ;;
	"member preapprove"*) options="--auto-ip --name --ip --bridge --dhcp-server --router --relay --anchor --replicator --passive --ip-guard-exempt --expires --tag --description " ;;
	"member reserve"*) options="--auto-ip --name --ip --bridge --dhcp-server --router --relay --anchor --replicator --passive --ip-guard-exempt --tag --description " ;;
	"preapproval") words="list delete" ;;
	"preapproval list"*) options="" ;;
	"preapproval delete"*) options="" ;;
	"invite") words="create list revoke qr" ;;
	"invite create"*) options="--name --root --uses --ephemeral --qr --expires --tag " ;;
	"invite list"*) options="" ;;
	"invite revoke"*) options="" ;;
	"invite qr"*) options="" ;;
	"page"*) options="" ;;
	"user") words="list add passwd role second-factor recovery-codes delete" ;;
	"user list"*) options="" ;;
	"user add"*) options="--role --password-file " ;;
	"user passwd"*) options="--password-file " ;;
	"user role"*) options="" ;;
	"user second-factor"*) options="--off " ;;
	"user recovery-codes"*) options="" ;;
	"user delete"*) options="" ;;
	"token") words="list create revoke" ;;
	"token list"*) options="" ;;
	"token create"*) options="--expires --scope " ;;
	"token revoke"*) options="" ;;
	"webhook") words="list add show set test log retry secret delete" ;;
	"webhook list"*) options="" ;;
	"webhook add"*) options="--network --event --enabled --allow-private " ;;
	"webhook show"*) options="" ;;
	"webhook set"*) options="--name --network --event --to --enabled --allow-private " ;;
	"webhook test"*) options="" ;;
	"webhook log"*) options="--limit --state " ;;
	"webhook retry"*) options="" ;;
	"webhook secret"*) options="" ;;
	"webhook delete"*) options="" ;;
	"audit"*) options="--network --member --actor --action --limit --follow --verify --head " ;;
	"backup"*) options="--yes --passphrase-file " ;;
	"restore"*) options="--yes --dry-run --passphrase-file " ;;
	"controller") words="trust" ;;
	"controller trust"*) options="" ;;
	"completion") words="bash" ;;
	"completion bash"*) options="" ;;
	"version"*) options="" ;;
	"help"*) options="" words="status join wait leave networks peers top ping netcheck events fdb groups wake drops metrics capture set port root server id root-line root-set network topology traffic member preapproval invite page user token webhook audit backup restore controller completion version help" ;;
	esac
	COMPREPLY=($(compgen -W "$words $options--home --output --url --token-file --cacert --pin --help --version " -- "$cur"))
}
complete -F _farlan farlan
